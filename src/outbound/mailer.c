/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/mailer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/token.h"
#include "letter/letter.h"

enum { CONNECT_MS = 15000, ANSWER_MOST = 400, DETAIL_MOST = 1000 };

/* What was asked of the server last, and so what its answer is about. */
enum stage { STAGE_SERVER, STAGE_RECIPIENT, STAGE_MESSAGE };

struct mailing {
        struct list link;
        struct mailer *mailer;
        mailer_done_fn *done;
        void *context;
        uint64_t job;
        struct msg_token_mail mail;
        struct secret message;
        size_t sent; /* of it, to this server */
        size_t server;
        CURL *curl;
        struct curl_slist *recipients;
        enum stage stage;
        struct buf answer;   /* of the server, its last one before good-bye */
        bool answer_goes_on; /* it has more lines */
        bool over;           /* QUIT was sent */
        char error[CURL_ERROR_SIZE];
        struct buf failures; /* of servers */
};

struct watched {
        struct list link;
        struct mailer *mailer;
        struct loop_source source;
};

/* ---- libcurl and the loop */

static void finished_take(struct mailer *mailer);

static int socket_ready(void *context, uint32_t events)
{
        struct watched *watched = context;
        struct mailer *mailer = watched->mailer;
        int running, flags = (events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
                             (events & EPOLLOUT ? CURL_CSELECT_OUT : 0);

        curl_multi_socket_action(mailer->multi, watched->source.fd, flags, &running);
        finished_take(mailer);
        return 0;
}

static void watched_free(struct watched *watched)
{
        loop_source_done(&watched->source);
        list_remove(&watched->link);
        free(watched);
}

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *context, void *of_socket)
{
        struct mailer *mailer = context;
        struct watched *watched = of_socket;
        uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

        if (what == CURL_POLL_REMOVE) {
                if (watched)
                        watched_free(watched);
                return 0;
        }
        if (watched)
                return loop_source_events(&watched->source, events) ? -1 : 0;
        watched = NEW(struct watched);
        watched->mailer = mailer;
        list_append(&mailer->sockets, &watched->link);
        if (loop_source_init(&watched->source, mailer->loop, fd, events, socket_ready, watched)) {
                watched_free(watched);
                return -1;
        }
        curl_multi_assign(mailer->multi, fd, watched);
        return 0;
}

static int on_timeout(CURLM *multi, long in_ms, void *context)
{
        struct mailer *mailer = context;

        mailer->timer.due_ms = 0;
        if (in_ms >= 0)
                loop_timer_arm(&mailer->timer, (uint64_t)in_ms);
        return 0;
}

static int timer_expired(void *context)
{
        struct mailer *mailer = context;
        int running;

        curl_multi_socket_action(mailer->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        finished_take(mailer);
        return 0;
}

/* ---- what is said on the connection */

static void command_seen(struct mailing *mailing, const char *line, size_t len)
{
        static const struct {
                const char *verb;
                enum stage stage;
        } verbs[] = {{"MAIL", STAGE_SERVER}, {"RCPT", STAGE_RECIPIENT}, {"DATA", STAGE_MESSAGE}};

        mailing->over = len >= 4 && strncasecmp(line, "QUIT", 4) == 0;
        for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
                if (len >= 4 && strncasecmp(line, verbs[i].verb, 4) == 0)
                        mailing->stage = verbs[i].stage;
}

static void answer_seen(struct mailing *mailing, const char *line, size_t len)
{
        if (mailing->over)
                return;
        while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
                len--;
        if (!mailing->answer_goes_on)
                buf_clear(&mailing->answer);
        else
                buf_add_text(&mailing->answer, " ");
        mailing->answer_goes_on = len > 3 && line[3] == '-';
        if (mailing->answer.len < ANSWER_MOST)
                text_add_printable(&mailing->answer, bytes_of(line, len), ANSWER_MOST - mailing->answer.len);
}

/* Of what is sent only the verbs are looked at: there are passwords and tokens in the rest. */
static int on_debug(CURL *curl, curl_infotype type, char *data, size_t len, void *context)
{
        if (type == CURLINFO_HEADER_OUT)
                command_seen(context, data, len);
        else if (type == CURLINFO_HEADER_IN)
                answer_seen(context, data, len);
        return 0;
}

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
        struct mailing *mailing = context;
        size_t len = MIN(size * count, mailing->message.len - mailing->sent);

        memcpy(to, mailing->message.data + mailing->sent, len);
        mailing->sent += len;
        return len;
}

static size_t on_write(char *data, size_t size, size_t count, void *context)
{
        return size * count; /* answers, which on_debug has seen */
}

/* ---- one server */

static void set_login(const struct mailer *mailer, CURL *curl)
{
        CLEANUP(secret_done) struct secret password = secret_new(mailer->password.len + 1);

        if (!*mailer->config->mail.user)
                return;
        if (mailer->password.len)
                memcpy(password.data, mailer->password.data, mailer->password.len);
        curl_easy_setopt(curl, CURLOPT_USERNAME, mailer->config->mail.user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, (const char *)password.data);
}

static void set_server(struct mailing *mailing, CURL *curl)
{
        const struct config *config = mailing->mailer->config;
        const char *server = config->mail.servers.at[mailing->server];
        /* The path is what curl calls itself in EHLO. */
        CLEANUP(mem_freep)
        char *url = text_format("%s/%s", server, config->server.host_names.count ? config->server.host_names.at[0] : "");

        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
        curl_easy_setopt(curl, CURLOPT_USE_SSL, config->mail.starttls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        if (*config->mail.ca_file) {
                curl_easy_setopt(curl, CURLOPT_CAINFO, config->mail.ca_file);
                curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
        }
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, MIN((long)CONNECT_MS, (long)config->mail.timeout * 1000));
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)config->mail.timeout * 1000);
        set_login(mailing->mailer, curl);
}

static void set_message(struct mailing *mailing, CURL *curl)
{
        const struct config *config = mailing->mailer->config;
        const char *sender = *config->mail.return_path ? config->mail.return_path : config->mail.from;
        CLEANUP(mem_freep) char *name = NULL;
        CLEANUP(mem_freep) char *address = NULL;
        CLEANUP(mem_freep) char *from = NULL;
        CLEANUP(mem_freep) char *to = text_format("<%s>", mailing->mail.address);

        if (config_mailbox(sender, &name, &address) == 0) /* it was checked when the configuration was read */
                from = text_format("<%s>", address);
        curl_slist_free_all(mailing->recipients);
        mailing->recipients = curl_slist_append(NULL, to);
        curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
        curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, mailing->recipients);
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(curl, CURLOPT_READDATA, mailing);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)mailing->message.len);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
        curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
        curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_debug);
        curl_easy_setopt(curl, CURLOPT_DEBUGDATA, mailing);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, mailing->error);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_PRIVATE, mailing);
}

static void server_try(struct mailing *mailing)
{
        mailing->sent = 0;
        mailing->stage = STAGE_SERVER;
        mailing->answer_goes_on = mailing->over = false;
        mailing->error[0] = 0;
        buf_clear(&mailing->answer);
        curl_easy_reset(mailing->curl);
        set_server(mailing, mailing->curl);
        set_message(mailing, mailing->curl);
        if (curl_multi_add_handle(mailing->mailer->multi, mailing->curl) != CURLM_OK)
                abort(); /* it is in no other, and there is memory */
}

/* ---- the end */

static void mailing_free(struct mailing *mailing)
{
        list_remove(&mailing->link);
        if (mailing->curl) {
                curl_multi_remove_handle(mailing->mailer->multi, mailing->curl);
                curl_easy_cleanup(mailing->curl);
        }
        curl_slist_free_all(mailing->recipients);
        msg_done(token_mail, &mailing->mail);
        secret_done(&mailing->message);
        buf_done(&mailing->answer);
        buf_done(&mailing->failures);
        free(mailing);
}

static void mailing_end(struct mailing *mailing, struct msg_job_done *done, struct bytes words)
{
        CLEANUP(buf_done) struct buf detail = BUF_NONE;

        text_add_printable(&detail, words, DETAIL_MOST);
        done->id = mailing->job;
        done->detail = text_copy(buf_text(&detail));
        mailing->done(mailing->context, done);
        msg_done(job_done, done);
        mailing_free(mailing);
}

/* A server that repeats the message in its answer, out of kindness or not, is not quoted. */
static struct bytes answer_words(const struct mailing *mailing)
{
        return token_text_is_in(buf_view(&mailing->answer), &mailing->mail.token)
                       ? bytes_text("(the words of the server are left out, since they repeat the message)")
                       : buf_view(&mailing->answer);
}

static const char *reason_of(const struct mailing *mailing, CURLcode code)
{
        switch (code) {
        case CURLE_USE_SSL_FAILED:
                return "it offers no STARTTLS, and without nothing is sent";
        case CURLE_LOGIN_DENIED:
                return "it refuses the login of [mail] user";
        case CURLE_PEER_FAILED_VERIFICATION:
                return *mailing->error ? mailing->error : "its certificate is not trusted";
        case CURLE_OPERATION_TIMEDOUT:
                return "it did not answer in time";
        default:
                return *mailing->error ? mailing->error : curl_easy_strerror(code);
        }
}

static void server_failed(struct mailing *mailing, CURLcode code)
{
        const struct config_texts *servers = &mailing->mailer->config->mail.servers;
        const char *server = mailing->server < servers->count ? servers->at[mailing->server] : "?";
        struct bytes words = answer_words(mailing);

        buf_add_format(&mailing->failures, "%s%s: %s%s%.*s", mailing->failures.len ? "; " : "", server,
                       reason_of(mailing, code), words.len ? "; it said: " : "", (int)words.len,
                       words.len ? (const char *)words.data : "");
        if (++mailing->server < servers->count) {
                server_try(mailing);
                return;
        }
        mailing_end(mailing, &(struct msg_job_done){.unreachable = true}, buf_view(&mailing->failures));
}

/* The code of the last answer; 0: there is none. */
static uint64_t answer_code(const struct mailing *mailing)
{
        uint64_t code = 0;

        if (mailing->answer.len < 3 || number_parse(bytes_of(mailing->answer.data, 3), 999, &code) != 0)
                return 0;
        return code;
}

static void mailing_finished(struct mailing *mailing, CURLcode code)
{
        uint64_t answer = answer_code(mailing);

        curl_multi_remove_handle(mailing->mailer->multi, mailing->curl);
        if (code == CURLE_OK)
                mailing_end(mailing, &(struct msg_job_done){.success = true}, answer_words(mailing));
        else if (mailing->stage != STAGE_SERVER && answer >= 400 && answer < 600 && answer != 421)
                mailing_end(mailing, &(struct msg_job_done){.permanent = answer >= 500}, answer_words(mailing));
        else
                server_failed(mailing, code);
}

static void finished_take(struct mailer *mailer)
{
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(mailer->multi, &left))) {
                struct mailing *mailing = NULL;
                CURLcode code = message->data.result;

                if (message->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&mailing);
                mailing_finished(mailing, code);
        }
}

/* ---- the beginning */

static int compose(struct mailing *mailing)
{
        const struct config *config = mailing->mailer->config;
        const struct msg_token_mail *mail = &mailing->mail;
        CLEANUP(mem_freep) char *from_name = NULL;
        CLEANUP(mem_freep) char *from = NULL;
        CLEANUP(mem_freep) char *reply_name = NULL;
        CLEANUP(mem_freep) char *reply = NULL;
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (!config->mail.servers.count)
                return refuse(PROBLEM_CONFIGURATION, "[mail] servers is empty.");
        TRY(config_mailbox(config->mail.from, &from_name, &from));
        if (*config->mail.reply_to)
                TRY(config_mailbox(config->mail.reply_to, &reply_name, &reply));
        TRY(address_parse(bytes_text(msg_text(mail->address)), &key));
        return PASS(letter_compose(&(struct letter){.kind = msg_text(mail->letter),
                                                    .language = msg_text(mail->language),
                                                    .fallback = config->mail.language,
                                                    .folder = config->mail.templates,
                                                    .name = mail->name,
                                                    .given_name = mail->given_name,
                                                    .surname = mail->surname,
                                                    .address = mail->address,
                                                    .server = config->mail.client_url,
                                                    .organisation = mail->organisation,
                                                    .begins = mail->begins,
                                                    .token = secret_view(&mail->token),
                                                    .expires = mail->expires,
                                                    .from_name = from_name,
                                                    .from_address = from,
                                                    .reply_to_name = reply_name,
                                                    .reply_to_address = reply,
                                                    .message_id = msg_text(mail->message_id),
                                                    .date = clock_now()},
                                   &mailing->message));
}

void mailer_run(struct mailer *mailer, struct msg_job *job, mailer_done_fn *done, void *context)
{
        struct mailing *mailing = NEW(struct mailing);
        int r = msg_decode(token_mail, buf_view(&job->content), &mailing->mail);

        *mailing = (struct mailing){
                .mailer = mailer, .done = done, .context = context, .job = job->id, .mail = mailing->mail};
        list_append(&mailer->mailings, &mailing->link);
        buf_wipe(&job->content);
        msg_done(job, job);
        if (!r)
                r = compose(mailing);
        if (r) {
                /* A template that is not right is put right some day; an address that is none stays none. */
                struct msg_job_done failed = {.permanent = r == PROBLEM_MALFORMED, .unreachable = r != PROBLEM_MALFORMED};

                mailing_end(mailing, &failed, bytes_text(report_text()));
                return;
        }
        mailing->curl = curl_easy_init();
        if (!mailing->curl)
                abort();
        server_try(mailing);
}

/* ---- life */

int mailer_init(struct mailer *mailer, struct loop *loop, const struct config *config)
{
        *mailer = (struct mailer){.loop = loop, .config = config};
        list_init(&mailer->mailings);
        list_init(&mailer->sockets);
        loop_timer_init(&mailer->timer, loop, timer_expired, mailer);
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(mailer->multi = curl_multi_init()))
                return fault(0, "libcurl could not be set up");
        curl_multi_setopt(mailer->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(mailer->multi, CURLMOPT_SOCKETDATA, mailer);
        curl_multi_setopt(mailer->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
        curl_multi_setopt(mailer->multi, CURLMOPT_TIMERDATA, mailer);
        return 0;
}

void mailer_done(struct mailer *mailer)
{
        if (!mailer->multi)
                return;
        LIST_EACH (mailing, &mailer->mailings, struct mailing, link)
                mailing_free(mailing);
        curl_multi_cleanup(TAKE(mailer->multi));
        LIST_EACH (watched, &mailer->sockets, struct watched, link)
                watched_free(watched);
        loop_timer_done(&mailer->timer);
        secret_done(&mailer->password);
        curl_global_cleanup();
}

void mailer_password(struct mailer *mailer, struct secret *password)
{
        secret_done(&mailer->password);
        mailer->password = secret_take(password);
}
