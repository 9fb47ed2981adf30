#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file includes a header of a layer that its own may not use (ARCHITECTURE.md, "Layers", says the same in words), and when
nothing reads an option of the configuration."""
import pathlib
import re
import sys

MAY = {
    "base": set(),
    "config": {"base"},
    "wire": {"base"},
    "crypto": {"base"},
    "model": {"base", "wire", "crypto"},
    "store": {"base", "wire", "crypto", "model"},
    "protocol": {"base", "wire", "crypto", "model"},
    "mail": {"base", "crypto"},
    "letter": {"base"},
    "sheet": {"base", "wire", "letter"},
    "ldap": {"base", "config", "wire", "crypto", "model"},
    "keeper": {"base", "config", "wire", "crypto", "model"},
    "engine": {"base", "config", "wire", "crypto", "model", "store"},
    "net": {"base", "config", "wire"},
    "front": {"base", "config", "wire", "net", "protocol"},
    "ldapd": {"base", "config", "wire", "net"},
    "outbound": {"base", "config", "wire", "crypto", "model", "ldap", "letter"},
    "supervisor": {"base", "config", "wire"},
    "cli": {"base", "config", "wire", "crypto", "model", "protocol", "mail", "ldap", "letter"},
}
# System headers that only these layers may see.
ONLY = {
    r"openssl/": {"crypto", "mail", "keeper"},
    r"microhttpd": {"front"},
    r"gnutls/": {"net", "front", "ldapd"},
    r"lber": {"ldap", "ldapd"},
    r"sqlite3|libpq": {"store"},
    r"curl/": {"cli", "outbound"},
    r"ldap\.h|sasl/|krb5": {"ldap", "outbound"},
    r"jansson": {"protocol", "front", "cli"},
    r"gmime/|glib": {"mail", "letter"},
    r"cairo|pango|qrencode": {"sheet"},
    r"argon2": {"crypto"},
    r"uni(case|ctype|norm|str)\.h": {"base"},
    r"ini\.h": {"config"},
}


def wrong_lines(path: pathlib.Path, layer: str, text: str) -> list[str]:
    """What is wrong in one file, a sentence each."""
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        own = re.match(r'\s*#\s*include\s+"([a-z]+)/', line)
        if own and own[1] in MAY and own[1] != layer and own[1] not in MAY[layer]:
            wrong.append(f"{path}:{number}: {layer} may not include {own[1]}")
        system = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
        for pattern, layers in ONLY.items():
            if system and re.match(pattern, system[1]) and layer not in layers and not path.name.startswith("test-"):
                wrong.append(f"{path}:{number}: {layer} may not include <{system[1]}>")
    if "SPDX-License-Identifier: Apache-2.0" not in text[:200]:
        wrong.append(f"{path}: no SPDX line")
    return wrong


def unread_options(root: pathlib.Path) -> list[str]:
    code = "\n".join(path.read_text() for path in root.rglob("*.c") if not path.name.startswith("test-"))
    options = re.findall(r"^\s+(?:TEXT|PATH|CHOICE|TEXTS|ADDRESSES|FLAG|NUMBER|SIZE|DURATION)\((\w+), (\w+),",
                         (root / "config/options.def").read_text(), re.M)
    assert options
    return [f"src/config/options.def: nothing reads {section}.{member}" for section, member in options
            if not re.search(rf"\b{section}\.{member}\b", code)]


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    wrong = unread_options(root)
    for path in sorted(root.rglob("*.[ch]")):
        layer = path.relative_to(root).parts[0]
        wrong += wrong_lines(path, layer, path.read_text())
    print("\n".join(wrong) or "every include is permitted, and every option is read")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
