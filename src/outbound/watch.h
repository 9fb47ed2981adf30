/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Content synchronization (RFC 4533), refreshAndPersist: a follower's search that does not end, on a
 * connection of its own. */
#include "outbound/follow.h"

int watch_mark(struct follower *follower) must_check;
int watch_start(struct follower *follower) must_check;
void watch_done(struct follower *follower);
