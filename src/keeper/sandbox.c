/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/sandbox.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <openssl/crypto.h>

#include "base/sandbox.h"

enum { SECURE_HEAP = 1 << 20, SECURE_HEAP_LEAST = 16 };

/*
 * All of memory is locked only where there is no limit: below one, the map that passes it would be refused, and
 * argon2id alone takes 64 MiB. Secrets are locked one by one in any case (base/secret.h), and whether they are is said.
 */
int sandbox_memory(void)
{
        struct rlimit limit;

        TRY(sandbox_hide());
        if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
                (void)mlockall(MCL_CURRENT | MCL_FUTURE);
        /* 2 would say that the limit kept it from being locked: numbers of libcrypto are in it all the same. */
        if (CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_HEAP_LEAST) == 0)
                return fault(ENOMEM, "make libcrypto's secure heap");
        return 0;
}

int sandbox_enter(void)
{
        return PASS(sandbox_restrict(NULL, 0));
}
