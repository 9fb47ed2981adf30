/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "mail/stream.h"

enum { SPOOL_MEMORY = 256 * 1024, SPOOL_SCRATCH = 128 * 1024 };

static int spool_cipher_start(struct spool *spool)
{
        static const uint8_t iv[16];

        if (!spool->cipher && !(spool->cipher = EVP_CIPHER_CTX_new()))
                abort();
        if (!EVP_EncryptInit_ex(spool->cipher, EVP_aes_256_ctr(), NULL, spool->key, iv))
                return crypto_fault("Starting the cipher of a temporary file");
        return 0;
}

static int spool_open(struct spool *spool)
{
        const char *folder = spool->folder ? spool->folder : getenv("TMPDIR");
        CLEANUP(mem_freep) char *name = NULL;

        if (!folder || folder[0] == '\0')
                folder = "/var/tmp";
        spool->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (spool->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
                name = text_format("%s/vouchsafe-XXXXXX", folder);
                spool->fd = mkostemp(name, O_CLOEXEC);
                if (spool->fd >= 0)
                        unlink(name);
        }
        if (spool->fd < 0)
                return fault(errno, "A temporary file cannot be made in %s; set TMPDIR to a folder with room for the message", folder);
        if (RAND_bytes(spool->key, sizeof(spool->key)) != 1)
                return crypto_fault("Making the key of a temporary file");
        spool->scratch = mem_array(SPOOL_SCRATCH, 1);
        return PASS(spool_cipher_start(spool));
}

static int spool_store(struct spool *spool, const uint8_t *data, size_t len)
{
        while (len > 0) {
                size_t take = MIN(len, (size_t)SPOOL_SCRATCH);
                int done;

                if (!EVP_EncryptUpdate(spool->cipher, spool->scratch, &done, data, (int)take))
                        return crypto_fault("Encrypting a temporary file");
                TRY(fd_write_all(spool->fd, spool->scratch, take));
                data += take;
                len -= take;
        }
        return 0;
}

static int spool_write(struct sink *sink, const uint8_t *data, size_t len)
{
        struct spool *spool = CONTAINER_OF(sink, struct spool, sink);

        if (spool->drops)
                return 0;
        spool->total += len;
        buf_add(&spool->memory, data, len);
        if (spool->memory.len < SPOOL_MEMORY)
                return 0;
        if (spool->fd < 0)
                TRY(spool_open(spool));
        TRY(spool_store(spool, spool->memory.data, spool->memory.len));
        buf_clear(&spool->memory);
        return 0;
}

void spool_init(struct spool *spool, const char *folder)
{
        *spool = (struct spool){.sink = {spool_write, NULL}, .folder = folder, .fd = -1};
}

void spool_done(struct spool *spool)
{
        fd_closep(&spool->fd);
        buf_done(&spool->memory);
        EVP_CIPHER_CTX_free(spool->cipher);
        spool->cipher = NULL;
        memory_wipe(spool->key, sizeof(spool->key));
        free(spool->scratch);
        spool->scratch = NULL;
}

int spool_replay(struct spool *spool, struct sink *to)
{
        if (spool->fd >= 0) {
                /* What is still in memory follows; writing may not go on afterwards, as the cipher starts again. */
                uint64_t left = spool->total - spool->memory.len;
                size_t len;
                int done;

                if (lseek(spool->fd, 0, SEEK_SET) < 0)
                        return fault(errno, "A temporary file cannot be read");
                TRY(spool_cipher_start(spool));
                while (left > 0) {
                        TRY(fd_read(spool->fd, spool->scratch, MIN(left, (uint64_t)SPOOL_SCRATCH), &len));
                        if (len == 0)
                                return fault(EIO, "A temporary file was cut short");
                        if (!EVP_EncryptUpdate(spool->cipher, spool->scratch, &done, spool->scratch, (int)len))
                                return crypto_fault("Decrypting a temporary file");
                        TRY(sink_write(to, spool->scratch, len));
                        left -= len;
                }
        }
        return PASS(sink_write(to, spool->memory.data, spool->memory.len));
}
