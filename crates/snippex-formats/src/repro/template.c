@HEADING@//
// Build:  gcc -O1 -o repro THIS_FILE.c
// Run:    ./repro, or the emulator with ./repro as its argument
// Exit code 0: as expected; 1: not as expected; 2: it could not be tried.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Registers before and after, at the offsets that the assembler code below uses: general registers in encoding order,
// RFLAGS, how it ended (0: it went on, 1: a signal), the signal, RIP, the fault's address, FS and GS base, RFLAGS in the
// signal's frame; at 0x100 what FXSAVE64 stores; at 0x300 ZMM0 to 31, at 0xb00 k0 to 7.
enum { FLAGS = 0x80, KIND = 0x88, SIGNAL = 0x90, RIP = 0x98, ADDRESS = 0xa0, FRAME_FLAGS = 0xb8, SIZE = 0xb40 };
_Alignas(64) unsigned char repro_start[SIZE], repro_end[SIZE];
uint64_t repro_code_address = @CODE@, repro_rsp, repro_bases[2];
uint32_t repro_mxcsr = 0x1f80;
@ENVIRONMENT@void repro_run(void);
void repro_exit_0(void);
void repro_exit_1(void);
void repro_handler(int, siginfo_t *, void *);

__asm__(".intel_syntax noprefix\n"
@ROUTINE@        ".att_syntax prefix\n");

// The registers that are not zero at the start.
static const struct { unsigned offset; uint64_t value; } start[] = {
@START@};

// The block, and jumps out of it that touch no register, flag or stack.
static unsigned char code[] = {
@BYTES@};
enum { STUBS = @STUBS@, INDIRECT = @INDIRECT@ };
static const uint64_t targets[] = { @TARGETS@ };

// Memory: pages, then the bytes in them that are not zero.
static const struct { uint64_t address; int protection; } pages[] = {
@PAGES@};
static const struct { uint64_t address; unsigned size; unsigned char bytes[@PIECE@]; } pieces[] = {
@PIECES@};

// What has to come out, under masks that leave out what the manuals leave undefined.
static const uint64_t expected_end[] = { @END@ };
static const struct { const char *name; const void *at; uint64_t mask, value; } checks[] = {
@CHECKS@};

static uint64_t word(const void *at) { uint64_t value; memcpy(&value, at, 8); return value; }
static void set(unsigned offset, uint64_t value) { memcpy(repro_end + offset, &value, 8); }

// Shared, as if there were threads: some emulators translate locked instructions otherwise when nothing is shared.
static void *map(uint64_t address, uint64_t size)
{
    void *at = mmap((void *)address, size, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != (void *)address) {
        fprintf(stderr, "cannot map memory at %#llx\n", (unsigned long long)address);
        _exit(2);
    }
    return at;
}

static void flags(const char *title, uint64_t value)
{
    static const struct { const char *name; unsigned bit; } names[] = {
        { "CF", 0 }, { "PF", 2 }, { "AF", 4 }, { "ZF", 6 }, { "SF", 7 }, { "TF", 8 },
        { "DF", 10 }, { "OF", 11 }, { "NT", 14 }, { "AC", 18 }, { "ID", 21 } };
    printf(" %s [", title);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (value >> names[i].bit & 1)
            printf(" %s", names[i].name);
    printf(" ]");
}

static void show_end(const char *title, uint64_t kind, uint64_t signal, uint64_t rip)
{
    if (kind)
        printf(" %s signal %d at %#llx", title, (int)signal, (unsigned long long)rip);
    else
        printf(" %s goes on to %#llx", title, (unsigned long long)rip);
}

int main(void)
{
    for (unsigned i = 0; i < sizeof start / sizeof *start; i++)
        memcpy(repro_start + start[i].offset, &start[i].value, 8);
    for (unsigned i = 0; i < @PAGE_COUNT@; i++)
        map(pages[i].address, 4096);
    for (unsigned i = 0; i < @PIECE_COUNT@; i++)
        memcpy((void *)pieces[i].address, pieces[i].bytes, pieces[i].size);
    for (unsigned i = 0; i < @PAGE_COUNT@; i++)
        mprotect((void *)pages[i].address, 4096, pages[i].protection);
    void (*const exits[])(void) = { repro_exit_0, repro_exit_1 };
    for (unsigned i = 0; i < (sizeof code - STUBS) / 14; i++)
        memcpy(code + STUBS + 14 * i + 6, &exits[i], 8);
    void *area = map(@AREA@, @AREA_SIZE@);
    memcpy((void *)repro_code_address, code, sizeof code);
    mprotect(area, @AREA_SIZE@, PROT_READ | PROT_EXEC);

    static _Alignas(64) unsigned char stack[1 << 16];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action = { .sa_sigaction = repro_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&action.sa_mask);
    sigaltstack(&alternate, NULL);
    const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV };
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    alarm(20);
    repro_run();

    uint64_t kind = word(repro_end + KIND), signal = word(repro_end + SIGNAL), rip = word(repro_end + RIP);
    const uint64_t stubs = repro_code_address + STUBS, end = repro_code_address + sizeof code;
    if (kind) {
        set(FLAGS, word(repro_end + FRAME_FLAGS));
        // The jump was made, and nothing is mapped where it led.
        if (INDIRECT && signal == SIGSEGV && rip == word(repro_end + ADDRESS) &&
            (rip < repro_code_address || rip >= stubs))
            kind = 0;
        // TF traps in the jump out of the block.
        if (signal == SIGTRAP && rip >= stubs && rip < end)
            rip = targets[(rip - stubs) / 14];
    } else {
        rip = targets[rip];
    }
    if (!kind)
        signal = 0;
    int wrong = kind != expected_end[0] || signal != expected_end[1] || rip != expected_end[2];
    printf("%s end:", wrong ? "WRONG" : "ok   ");
    show_end("expected", expected_end[0], expected_end[1], expected_end[2]);
    show_end("- result", kind, signal, rip);
    printf("\n");
    for (unsigned i = 0; i < @CHECK_COUNT@; i++) {
        const uint64_t value = word(checks[i].at) & checks[i].mask;
        const int differs = value != checks[i].value;
        wrong |= differs;
        printf("%s %s:", differs ? "WRONG" : "ok   ", checks[i].name);
        if (checks[i].at == repro_end + FLAGS) {
            flags("expected", checks[i].value);
            flags("- result", value);
            printf("\n");
        } else {
            printf(" expected %#llx - result %#llx\n", (unsigned long long)checks[i].value, (unsigned long long)value);
        }
    }
    return wrong;
}
