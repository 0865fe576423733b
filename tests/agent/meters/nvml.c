/* An NVIDIA driver's library with GPUs of known power, for tests: the functions that the agent's NVML meter calls, as
 * NVIDIA's reference describes them. NVML_SCENE, a letter a GPU:
 *
 *   c  counts energy, POWER_MW from when the library was loaded     p  tells power only, POWER_MW
 *   m  like c, and is divided (MIG)                                 j  a Jetson's: tells neither
 *   l  like c, but is lost at the third time its energy is asked
 *
 * NVML_INIT: what nvmlInit_v2 answers. Every init and shutdown is a line in the file NVML_LOG.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POWER_MW = 120000, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

static struct timespec loaded;
static int asked;
static int process; /* that called init: as with the real one, a fork has to do it anew */

static const char *scene(void) {
    const char *named = getenv("NVML_SCENE");
    return named ? named : "";
}

static void note(const char *what) {
    const char *path = getenv("NVML_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", what);
        fclose(file);
    }
}

__attribute__((constructor)) static void load(void) { clock_gettime(CLOCK_MONOTONIC, &loaded); }

int nvmlInit_v2(void) {
    const char *answer = getenv("NVML_INIT");
    process = getpid();
    note("init");
    return answer ? atoi(answer) : 0;
}

int nvmlShutdown(void) {
    note("shutdown");
    return 0;
}

const char *nvmlErrorString(int status) {
    switch (status) {
    case NOT_SUPPORTED: return "Not Supported";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = (unsigned)strlen(scene());
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, const char **device) {
    *device = scene() + index;
    return 0;
}

int nvmlDeviceGetName(const char *device, char *name, unsigned length) {
    snprintf(name, length, "%s", *device == 'j' ? "Orin (nvgpu)" : "NVIDIA Fake");
    return 0;
}

#ifndef OLD /* as drivers before Volta's had it */
int nvmlDeviceGetTotalEnergyConsumption(const char *device, unsigned long long *millijoules) {
    struct timespec now;
    if (process != getpid()) return 1;
    if (!strchr("cml", *device)) return NOT_SUPPORTED;
    if (*device == 'l' && ++asked > 2) return GPU_IS_LOST;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *millijoules = (unsigned long long)(POWER_MW * ((double)(now.tv_sec - loaded.tv_sec) +
                                                    (double)(now.tv_nsec - loaded.tv_nsec) / 1e9));
    return 0;
}
#endif

int nvmlDeviceGetPowerUsage(const char *device, unsigned *milliwatts) {
    *milliwatts = POWER_MW;
    return *device == 'j' ? NOT_SUPPORTED : 0;
}

int nvmlDeviceGetMigMode(const char *device, unsigned *now, unsigned *pending) {
    *now = *pending = *device == 'm';
    return strchr("cm", *device) ? 0 : NOT_SUPPORTED;
}
