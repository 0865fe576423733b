/* A libcudart without a GPU, for tests: the functions that the agent's runner calls, as NVIDIA's reference describes
 * them. Memory of the device is the host's; a stream does at once what it is given, unless it is being captured.
 *
 *   CUDART_ERROR   what every question for a device answers (35: no driver, 100: no device)
 *   CUDART_SM      compute capability, 87 unless told
 *   CUDART_ROOM    bytes on the device
 *   CUDART_SPOILT  set: no capture ends well
 *
 * cudart_enqueue is TensorRT's side of it: a function to be called when the stream comes to it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { INVALID = 1, OUT_OF_MEMORY = 2, SPOILT = 901, MOST = 4096 };

typedef void (*called)(void);
typedef struct { void *to; const void *from; size_t size; called call; } work;
typedef struct { int count; work works[64]; } graph;
typedef struct { graph *recording; } stream;

static struct { void *at; size_t size; } held[MOST]; /* memory that is not given back */
static size_t used;
static int graph_launches;

static long told(const char *name, long otherwise) {
    const char *value = getenv(name);
    return value && *value ? atol(value) : otherwise;
}

static int take(void **out, size_t size) {
    for (int i = 0; i < MOST; i++)
        if (!held[i].at) {
            *out = held[i].at = calloc(1, size);
            held[i].size = size;
            return *out ? 0 : OUT_OF_MEMORY;
        }
    return OUT_OF_MEMORY;
}

static int slot(const void *at) {
    for (int i = 0; i < MOST; i++)
        if (at && held[i].at == at) return i;
    return -1;
}

static int give(void *at, int on_device) {
    int found = slot(at);
    if (found < 0) return INVALID;
    if (on_device) used -= held[found].size;
    free(at);
    held[found].at = NULL;
    return 0;
}

static void act(const work *each) {
    if (each->call) each->call();
    else memcpy(each->to, each->from, each->size);
}

static int enqueue(stream *into, work what) {
    if (slot(into) < 0) return INVALID;
    if (!into->recording) act(&what);
    else if (into->recording->count == 64) return INVALID;
    else into->recording->works[into->recording->count++] = what;
    return 0;
}

int cudart_enqueue(void *into, called call) { return enqueue(into, (work){0, 0, 0, call}); }
int cudart_is_held(void *at) { return slot(at) >= 0; }
int cudart_launches(void) { return graph_launches; }

int cudaGetDeviceCount(int *out) { *out = 1; return (int)told("CUDART_ERROR", 0); }
int cudaSetDevice(int device) { return device ? INVALID : 0; }
int cudaDeviceGetAttribute(int *out, int attribute, int device) {
    long sm = told("CUDART_SM", 87);
    (void)device;
    *out = (int)(attribute == 75 ? sm / 10 : attribute == 76 ? sm % 10 : -1);
    return *out < 0 ? INVALID : 0;
}
int cudaRuntimeGetVersion(int *out) { *out = 12020; return 0; }
int cudaGetLastError(void) { return 0; }
const char *cudaGetErrorString(int number) {
    switch (number) {
    case 0: return "no error";
    case OUT_OF_MEMORY: return "out of memory";
    case 35: return "CUDA driver version is insufficient for CUDA runtime version";
    case 100: return "no CUDA-capable device is detected";
    case SPOILT: return "operation failed due to a previous error during capture";
    default: return "invalid argument";
    }
}

int cudaMalloc(void **out, size_t size) {
    if (used + size > (size_t)told("CUDART_ROOM", 1L << 30)) return OUT_OF_MEMORY;
    used += size;
    return take(out, size);
}
int cudaFree(void *at) { return give(at, 1); }
int cudaHostAlloc(void **out, size_t size, unsigned flags) { (void)flags; return take(out, size); }
int cudaFreeHost(void *at) { return give(at, 0); }
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *into) {
    int target = slot(to), source = slot(from);
    if (target < 0 || source < 0 || (kind != 1 && kind != 2)) return INVALID;
    if (size > held[target].size || size > held[source].size) return INVALID;
    return enqueue(into, (work){to, from, size, 0});
}

int cudaStreamCreateWithFlags(void **out, unsigned flags) { (void)flags; return take(out, sizeof(stream)); }
int cudaStreamSynchronize(void *which) { return slot(which) < 0 ? INVALID : 0; }
int cudaStreamDestroy(void *which) { return give(which, 0); }
int cudaStreamBeginCapture(stream *which, int mode) {
    (void)mode;
    return slot(which) < 0 ? INVALID : take((void **)&which->recording, sizeof(graph));
}
int cudaStreamEndCapture(stream *which, void **out) {
    *out = which->recording;
    which->recording = NULL;
    if (!*out || !getenv("CUDART_SPOILT")) return *out ? 0 : INVALID;
    give(*out, 0);
    *out = NULL;
    return SPOILT;
}
int cudaGraphInstantiateWithFlags(void **out, void *captured, unsigned long long flags) {
    int wrong = flags || slot(captured) < 0 ? INVALID : take(out, sizeof(graph));
    if (!wrong) memcpy(*out, captured, sizeof(graph));
    return wrong;
}
int cudaGraphLaunch(graph *which, stream *into) {
    if (slot(which) < 0 || slot(into) < 0) return INVALID;
    graph_launches++;
    for (int i = 0; i < which->count; i++) act(&which->works[i]);
    return 0;
}
int cudaGraphExecDestroy(void *which) { return give(which, 0); }
int cudaGraphDestroy(void *which) { return give(which, 0); }

int cudaEventCreateWithFlags(void **out, unsigned flags) { (void)flags; return take(out, sizeof(struct timespec)); }
int cudaEventRecord(struct timespec *which, void *into) {
    return slot(which) < 0 || slot(into) < 0 ? INVALID : clock_gettime(CLOCK_MONOTONIC, which);
}
int cudaEventSynchronize(struct timespec *which) { return slot(which) < 0 || !which->tv_sec ? INVALID : 0; }
int cudaEventElapsedTime(float *out, struct timespec *from, struct timespec *to) {
    if (slot(from) < 0 || slot(to) < 0) return INVALID;
    *out = (float)((to->tv_sec - from->tv_sec) * 1e3 + (to->tv_nsec - from->tv_nsec) / 1e6);
    return 0;
}
int cudaEventDestroy(void *which) { return give(which, 0); }
