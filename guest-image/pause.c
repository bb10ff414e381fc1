/* pause: the process that keeps a pod's namespaces. It reaps what is reparented to it and ends on
 * SIGTERM or SIGINT. Without a C library: a few hundred bytes, and no dependency in the image.
 *
 * System call numbers: arch/x86/entry/syscalls/syscall_64.tbl. */

enum {
  kSyscallRtSigtimedwait = 128,
  kSyscallRtSigprocmask = 14,
  kSyscallWait4 = 61,
  kSyscallExit = 60,
  kSigInt = 2,
  kSigTerm = 15,
  kSigChld = 17,
  kNoHang = 1,
};

static long call4(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
}

__attribute__((noreturn)) void _start(void) {
  const unsigned long set =
      (1UL << (kSigInt - 1)) | (1UL << (kSigTerm - 1)) | (1UL << (kSigChld - 1));
  /* SIG_BLOCK is 0. As PID 1 of its namespace a blocked signal still reaches sigtimedwait. */
  call4(kSyscallRtSigprocmask, 0, (long)&set, 0, sizeof set);
  for (;;) {
    const long signal = call4(kSyscallRtSigtimedwait, (long)&set, 0, 0, sizeof set);
    if (signal == kSigInt || signal == kSigTerm) break;
    while (call4(kSyscallWait4, -1, 0, kNoHang, 0) > 0) {
    }
  }
  for (;;) call4(kSyscallExit, 0, 0, 0, 0);
}
