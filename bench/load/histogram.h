/* What the load generators share: the clocks, and a histogram of durations with steps under 1.6 %. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#define STEPS 64
#define BUCKETS (64 * STEPS)

struct histogram {
    uint64_t counts[BUCKETS], counted;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
           + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void count_ns(struct histogram *histogram, uint64_t ns)
{
    unsigned bucket = (unsigned)ns, power;
    if (ns >= STEPS) {
        power = 63u - (unsigned)__builtin_clzll(ns);
        bucket = (power - 5) * STEPS + (unsigned)((ns >> (power - 6)) & (STEPS - 1));
    }
    histogram->counts[bucket]++;
    histogram->counted++;
}

/* The middle of the bucket in which the wanted part of all counted durations is reached. */
static double percentile_us(const struct histogram *histogram, double part)
{
    uint64_t passed = 0, wanted = (uint64_t)((double)histogram->counted * part);
    unsigned i, power;
    for (i = 0; i < BUCKETS; i++) {
        passed += histogram->counts[i];
        if (passed > wanted)
            break;
    }
    if (i == BUCKETS)
        return 0;
    if (i < STEPS)
        return i / 1e3;
    power = i / STEPS + 5;
    return ((double)(1ull << power) + ((double)(i % STEPS) + 0.5) * (double)(1ull << (power - 6))) / 1e3;
}

#endif
