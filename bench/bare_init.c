/* bare_init: the bare limit that a pod start is measured against. As the only file of an initramfs
 * it prints one line on the console and powers the machine off.
 *
 * System call numbers: arch/x86/entry/syscalls/syscall_64.tbl. */

enum {
  kSyscallWrite = 1,
  kSyscallReboot = 169,
  kConsole = 1,
};

static const unsigned kRebootMagic1 = 0xfee1dead;
static const unsigned kRebootMagic2 = 0x28121969;
static const unsigned kRebootPowerOff = 0x4321fedc;

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
  static const char line[] = "hello from init\n";
  call4(kSyscallWrite, kConsole, (long)line, sizeof line - 1, 0);
  for (;;) call4(kSyscallReboot, kRebootMagic1, kRebootMagic2, kRebootPowerOff, 0);
}
