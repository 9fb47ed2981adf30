/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of the engine share: each has a world of its own, and people in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/crl.h"
#include "crypto/envelope.h"
#include "crypto/statement.h"
#include "world.h"

#define WORLD ((struct world *)*state)

/* Unsealed, with Alice and Bob in the directory. */
int set_up(void **state);
int set_up_sealed(void **state);
int tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Token and enrollment. */
void enroll(struct world *world, const char *address, struct client *client);
/* The key of an answer; the caller frees it. */
EVP_PKEY *client_key(struct client *client, size_t index);
/* The key of an answer is that of its certificate. */
void client_opens(struct client *client, size_t index);
/* Is this certificate on the published revocation list? */
void crl_has(struct world *world, const struct buf *certificate_der, bool expected);
/* Until a list is out with all that was revoked. */
void crl_settle(struct world *world);
