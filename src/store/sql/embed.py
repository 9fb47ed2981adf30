#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the migrations (NNN-name.sql, in order) as a C table with a text for each engine: embed.py OUT FILE..."""
import os
import re
import sys

PGSQL = [(r'\bBLOB\b', 'BYTEA'), (r'\bINTEGER\b', 'BIGINT'), (r'\bTEXT\b', 'TEXT COLLATE "C"'),
         (r'\)\s*STRICT(,\s*WITHOUT ROWID)?;', ');')]


def c_text(sql):
    lines = (line.split('--')[0].strip() for line in sql.splitlines())
    return '\n'.join('                  "%s\\n"' % line.replace('\\', '\\\\').replace('"', '\\"') for line in lines if line)


def main(out, files):
    rows = []
    for file in sorted(files, key=os.path.basename):
        name = os.path.basename(file)[:-len('.sql')]
        sql = open(file, encoding='utf-8').read()
        pgsql = sql
        for pattern, replacement in PGSQL:
            pgsql = re.sub(pattern, replacement, pgsql)
        rows.append('        { .number = %d, .name = "%s",\n          .sqlite =\n%s,\n          .pgsql =\n%s },\n'
                    % (int(name[:3]), name, c_text(sql), c_text(pgsql)))
    with open(out, 'w', encoding='utf-8') as file:
        file.write('/* Written by embed.py. */\n#include "store/migrate.h"\n\n'
                   'const struct migration migrations[] = {\n%s        { 0 },\n};\n' % ''.join(rows))


main(sys.argv[1], sys.argv[2:])
