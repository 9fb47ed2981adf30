/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/table.h"
#include "protocol/json.h"

int show_json(const struct msg_record *record, const void *message)
{
        CLEANUP(json_buf_done) struct buf out = BUF_NONE;

        TRY(json_message_add(record, message, &out));
        fflush(stdout);
        TRY(fd_write_all(STDOUT_FILENO, out.data, out.len));
        return PASS(fd_write_all(STDOUT_FILENO, "\n", 1));
}

void show_certificates(const struct msg_certificate_item *items, size_t count)
{
        CLEANUP(table_freep)
        struct table *table =
            table_new((const char *const[]){"Kind", "State", "From", "Until", "Revoked", "Reason", "Serial", NULL});

        for (size_t i = 0; i < count; i++) {
                char from[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE], revoked[TIME_TEXT_SIZE];
                table_row(table, (const char *const[]){
                                     items[i].kind, items[i].state, time_short(items[i].not_before, from),
                                     time_short(items[i].not_after, until), time_short(items[i].revoked, revoked),
                                     items[i].reason, items[i].serial});
        }
        table_print(table, "No certificates.");
}

void show_requests(const struct msg_request_item *items, size_t count)
{
        CLEANUP(table_freep)
        struct table *table = table_new((const char *const[]){"Request", "Kind", "State", "~User", ">Approved",
                                                              "Requester", "Created", "~Reason", NULL});

        for (size_t i = 0; i < count; i++) {
                char created[TIME_TEXT_SIZE], approved[48];
                snprintf(approved, sizeof(approved), "%zu of %llu", items[i].approved_by.count,
                         (unsigned long long)items[i].quorum);
                table_row(table, (const char *const[]){items[i].request, items[i].kind, items[i].state, items[i].name,
                                                       approved, items[i].requester,
                                                       time_short(items[i].created, created), items[i].reason});
        }
        table_print(table, "No requests.");
}

void show_request(const struct msg_request_item *request)
{
        char *approved CLEANUP(mem_freep) = texts_joined(&request->approved_by);
        char *refused CLEANUP(mem_freep) = texts_joined(&request->refused_by);
        char time[TIME_TEXT_SIZE];

        say_pair("Request", "%s (%s)", msg_text(request->request), msg_text(request->kind));
        say_pair("State", "%s", msg_text(request->state));
        if (request->name)
                say_pair("User", "%s", request->name);
        say_pair("Reason", "%s", msg_text(request->reason));
        say_pair("Requester", "%s", msg_text(request->requester));
        say_pair("Created", "%s", time_short(request->created, time));
        say_pair("Expires", "%s", time_short(request->expires, time));
        say_pair("Keys", "%llu", (unsigned long long)request->keys);
        say_pair("Approved", "%zu of %llu%s%s", request->approved_by.count, (unsigned long long)request->quorum,
                 *approved ? ": " : "", approved);
        if (*refused)
                say_pair("Refused", "by %s", refused);
}

void show_person(const struct msg_person *person)
{
        char *addresses CLEANUP(mem_freep) = texts_joined(&person->addresses);
        char *groups CLEANUP(mem_freep) = texts_joined(&person->groups);
        char text[TIME_TEXT_SIZE];
        bool group = strcmp(msg_text(person->kind), "group") == 0;

        say_pair(group ? "Group" : "Name", "%s", msg_text(person->name));
        if (!group) {
                say_pair("Given name", "%s", msg_text(person->given_name));
                say_pair("Surname", "%s", msg_text(person->surname));
                say_pair("Addresses", "%s", addresses);
                say_pair("Unit", "%s", msg_text(person->unit));
        }
        say_pair(group ? "In groups" : "Groups", "%s", groups);
        if (!group)
                say_pair("Mail server", "%s", msg_text(person->home_server));
        if (*msg_text(person->language))
                say_pair("Language", "%s", person->language);
        if (*msg_text(person->dn))
                say_pair("DN", "%s", person->dn);
        say_pair("Directory id", "%s", msg_text(person->guid));
        if (person->disabled)
                say_pair("Disabled", "yes");
        if (person->gone)
                say_pair("Left", "%s", time_short(person->gone, text));
}
