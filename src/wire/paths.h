/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where public data is served over plain HTTP: the paths that the engine publishes at and that certificates name (CDP,
 * AIA), after the base URL of the configuration, which has no slash at its end.
 */
#define PATH_CRL    "/pki/issuer.crl" /* application/pkix-crl */
#define PATH_ISSUER "/pki/issuer.cer" /* application/pkix-cert, DER */
#define PATH_ROOT   "/pki/root.cer"
