#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write templates as a C table of their names and content: embed.py OUT FILE..."""
import os
import sys


def c_text(text):
    lines = (line.replace('\\', '\\\\').replace('"', '\\"') for line in text.split('\n'))
    return '\\n"\n         "'.join(lines)


def main(out, files):
    with open(out, 'w', encoding='utf-8') as file:
        file.write('/* Written by embed.py. */\n#include <stddef.h>\n#include "letter/builtin.h"\n\n'
                   'const struct builtin builtins[] = {\n')
        for path in files:
            with open(path, encoding='utf-8') as template:
                file.write('        {"%s",\n         "%s"},\n' % (os.path.basename(path), c_text(template.read())))
        file.write('        {NULL, NULL},\n};\n')


main(sys.argv[1], sys.argv[2:])
