# SPDX-License-Identifier: Apache-2.0
<#
.SYNOPSIS
Give the account of [directory] bind-dn or principal what it needs in Active Directory, and nothing more.
.DESCRIPTION
Run it as a domain administrator (for the CA's objects: enterprise administrator) where the ActiveDirectory module and dsacls are. It can be repeated.
Reading needs no more than every account of a domain has. Members of administrative groups are protected by Windows: for them
give the two rights on CN=AdminSDHolder,CN=System as well. samba-delegate.sh does the same for Samba.
.EXAMPLE
.\active-directory.ps1 -Account EXAMPLE\vouchsafe -People "OU=People,DC=example,DC=org"
.EXAMPLE
.\active-directory.ps1 -Account EXAMPLE\vouchsafe -People "OU=People,DC=example,DC=org" -Issuer issuer.cer -Root root.cer -HostLabel keys
The files are http://SERVER/pki/issuer.cer and root.cer; HostLabel is the first of [server] host-names without its domain.
#>
param(
        [Parameter(Mandatory)] [string] $Account,
        [Parameter(Mandatory)] [string] $People,
        [string] $Issuer,
        [string] $Root,
        [string] $HostLabel
)
$ErrorActionPreference = 'Stop'

function Grant([string] $Dn, [string] $Right, [string[]] $Inheritance) {
        & dsacls $Dn @Inheritance /G "${Account}:$Right" | Out-Null
        if ($LASTEXITCODE) { throw "dsacls failed on $Dn" }
        "${Dn}: granted"
}

# Publication: two attributes of users, of those below it (/I:S).
foreach ($attribute in 'userCertificate', 'userSMIMECertificate') {
        Grant $People "RPWP;$attribute;user" @('/I:S')
}
if (-not $Issuer) { return }

Import-Module ActiveDirectory
$services = "CN=Public Key Services,CN=Services,$((Get-ADRootDSE).configurationNamingContext)"

function Read-Certificate([string] $Path) {
        [System.Security.Cryptography.X509Certificates.X509Certificate2]::new((Resolve-Path $Path).Path)
}
function Get-Name($Certificate) { # the common name, and nothing of what follows it
        $Certificate.GetNameInfo([System.Security.Cryptography.X509Certificates.X509NameType]::SimpleName, $false)
}
function Get-Dn([string] $Name, [string] $Parent) { # RFC 4514
        'CN=' + ($Name -replace '([\\,+"<>;=#])', '\$1') + ",$Parent"
}
function Add-Object([string] $Name, [string] $Parent, [string] $Class, [hashtable] $Attributes) {
        $dn = Get-Dn $Name $Parent
        try { Get-ADObject $dn | Out-Null }
        catch [Microsoft.ActiveDirectory.Management.ADIdentityNotFoundException] {
                $parameters = @{ Name = $Name; Path = $Parent; Type = $Class }
                if ($Attributes.Count) { $parameters.OtherAttributes = $Attributes }
                New-ADObject @parameters
        }
        $dn
}
function Add-Authority([string] $Name, [string] $Parent, $Certificate) {
        # Lists that are empty as certutil makes them.
        $dn = Add-Object $Name $Parent 'certificationAuthority' @{
                cACertificate = [byte[]] $Certificate.RawData
                authorityRevocationList = [byte[]] (, 0)
                certificateRevocationList = [byte[]] (, 0)
        }
        Grant $dn 'RPWP;cACertificate' @()
}

$issuing = Read-Certificate $Issuer
$anchor = Read-Certificate $Root
Add-Authority (Get-Name $issuing) "CN=AIA,$services" $issuing
Add-Authority (Get-Name $anchor) "CN=Certification Authorities,$services" $anchor
Add-Authority 'NTAuthCertificates' $services $issuing
$place = Add-Object $HostLabel "CN=CDP,$services" 'container' @{}
$point = Add-Object (Get-Name $issuing) $place 'cRLDistributionPoint' @{ certificateRevocationList = [byte[]] (, 0) }
Grant $point 'RPWP;certificateRevocationList' @()
