/* SPDX-License-Identifier: Apache-2.0 */
#include "front/metrics.h"

#include <inttypes.h>
#include <unistd.h>

static const double bounds[METRICS_BUCKETS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                               0.1,    0.25,  0.5,    1,     2.5,  10};

void metrics_latency(struct metrics *metrics, double seconds)
{
        size_t i = 0;

        while (i < METRICS_BUCKETS && seconds > bounds[i])
                i++;
        metrics->buckets[i]++;
        metrics->count++;
        metrics->sum += seconds;
}

void metrics_request(struct metrics *metrics, unsigned page, unsigned status)
{
        metrics->requests[MIN(page, (unsigned)METRICS_OTHER)][MIN(status / 100, 5u)]++;
}

static const char *page_name(unsigned page)
{
        if (page == METRICS_DOCUMENT)
                return "document";
        if (page == METRICS_HEALTH)
                return "health";
        return page == METRICS_OTHER ? "other" : route_at(page)->request()->name;
}

static void head_add(struct buf *out, const char *name, const char *type, const char *help)
{
        buf_add_format(out, "# HELP vouchsafe_front_%s %s\n# TYPE vouchsafe_front_%s %s\n", name, help, name, type);
}

static void value_add(struct buf *out, const char *name, uint64_t value)
{
        buf_add_format(out, "vouchsafe_front_%s{process=\"%d\"} %" PRIu64 "\n", name, (int)getpid(), value);
}

static void requests_add(const struct metrics *metrics, struct buf *out)
{
        head_add(out, "requests_total", "counter", "Answered HTTP requests.");
        for (unsigned page = 0; page < METRICS_PAGES; page++)
                for (unsigned status = 1; status < 6; status++)
                        if (metrics->requests[page][status])
                                buf_add_format(out,
                                               "vouchsafe_front_requests_total{process=\"%d\",request=\"%s\",status=\"%"
                                               "uxx\"} %" PRIu64 "\n",
                                               (int)getpid(), page_name(page), status, metrics->requests[page][status]);
}

static void latency_add(const struct metrics *metrics, struct buf *out)
{
        uint64_t sum = 0;

        head_add(out, "request_seconds", "histogram",
                 "From the request line to the end of the answer, API requests only.");
        for (size_t i = 0; i < METRICS_BUCKETS; i++) {
                sum += metrics->buckets[i];
                buf_add_format(out, "vouchsafe_front_request_seconds_bucket{process=\"%d\",le=\"%g\"} %" PRIu64 "\n",
                               (int)getpid(), bounds[i], sum);
        }
        buf_add_format(out, "vouchsafe_front_request_seconds_bucket{process=\"%d\",le=\"+Inf\"} %" PRIu64 "\n",
                       (int)getpid(), metrics->count);
        buf_add_format(out, "vouchsafe_front_request_seconds_sum{process=\"%d\"} %.6f\n", (int)getpid(), metrics->sum);
        value_add(out, "request_seconds_count", metrics->count);
}

void metrics_add(const struct metrics *metrics, size_t connections, bool engine, struct buf *out)
{
        static const char *const reasons[REFUSED_COUNT] = {"address", "descriptors"};

        head_add(out, "engine_up", "gauge", "Whether this front has a connection to the engine.");
        value_add(out, "engine_up", engine);
        head_add(out, "connections", "gauge", "Open connections.");
        value_add(out, "connections", connections);
        head_add(out, "connections_total", "counter", "Accepted connections.");
        value_add(out, "connections_total", metrics->connections_total);
        head_add(out, "connections_cut_total", "counter", "Connections closed because they took too long.");
        value_add(out, "connections_cut_total", metrics->connections_cut);
        head_add(out, "connections_refused_total", "counter",
                 "Connections that were not taken: too many from one address, or no descriptor left.");
        for (size_t i = 0; i < REFUSED_COUNT; i++)
                buf_add_format(out,
                               "vouchsafe_front_connections_refused_total{process=\"%d\",reason=\"%s\"} %" PRIu64 "\n",
                               (int)getpid(), reasons[i], metrics->connections_refused[i]);
        requests_add(metrics, out);
        latency_add(metrics, out);
}
