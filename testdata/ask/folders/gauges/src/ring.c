/* A lock-free ring buffer for one producer and one consumer. */
#include <stdatomic.h>
#include <stdint.h>

#define RING_CAPACITY 4096 /* must be a power of two */

struct ring {
    _Atomic uint32_t head;
    _Atomic uint32_t tail;
    int32_t samples[RING_CAPACITY];
};

/* Returns 0 on success and -1 if the ring is full; the sample is then dropped. */
int ring_push(struct ring *r, int32_t sample)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (head - tail == RING_CAPACITY)
        return -1;
    r->samples[head & (RING_CAPACITY - 1)] = sample;
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return 0;
}
