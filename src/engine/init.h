/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The database of a new server: made aside and put in its place when it is whole, or in one transaction; never over
 * another. */
#include "wire/message.h"

/* PROBLEM_EXISTS when there is a database already. `location` as for store_open(). */
int engine_create(const char *location, const struct msg_engine_init *init) must_check;
