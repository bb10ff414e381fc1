#include "base/host/kvm.h"

#include <cpuid.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/fd.h"

namespace coffer::host {
namespace {

// ---- the guest: page tables, then code, in 2 MiB at physical address 0 ----

constexpr std::size_t kMemory = std::size_t{2} << 20U;
constexpr std::uint64_t kPml4 = 0x1000;
constexpr std::uint64_t kPdpt = 0x2000;
constexpr std::uint64_t kPd = 0x3000;
constexpr std::uint64_t kCode = 0x4000;
constexpr std::uint64_t kStack = 0x8000;
constexpr std::uint16_t kPort = 0x10;
constexpr std::uint32_t kWant = 5U << 3U;
constexpr unsigned kDeadlineSeconds = 5;
constexpr int kMaxExits = 16;

constexpr std::array<std::uint8_t, 18> kShlx = {
    0xb9, 3,     0,    0,    0,     // mov ecx, 3
    0xb8, 5,     0,    0,    0,     // mov eax, 5
    0xc4, 0xe2,  0x71, 0xf7, 0xc0,  // shlx eax, eax, ecx
    0xe7, kPort,                    // out kPort, eax
    0xf4,                           // hlt
};
// The same sum for a processor without BMI2.
constexpr std::array<std::uint8_t, 15> kShl = {
    0xb9, 3, 0, 0, 0, 0xb8, 5, 0, 0, 0, 0xd3, 0xe0, /* shl eax, cl */ 0xe7, kPort, 0xf4,
};

bool has_bmi2() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & bit_BMI2) != 0;
}

void put(std::uint8_t* memory, std::uint64_t at, std::uint64_t value) {
  std::memcpy(memory + at, &value, sizeof value);
}

void load_guest(std::uint8_t* memory) {
  constexpr std::uint64_t kPresentWritable = 3;
  constexpr std::uint64_t kLargePage = 1U << 7U;
  put(memory, kPml4, kPdpt | kPresentWritable);
  put(memory, kPdpt, kPd | kPresentWritable);
  put(memory, kPd, kPresentWritable | kLargePage);
  if (has_bmi2()) {
    std::memcpy(memory + kCode, kShlx.data(), kShlx.size());
  } else {
    std::memcpy(memory + kCode, kShl.data(), kShl.size());
  }
}

kvm_segment segment(bool code) {
  kvm_segment s{};
  s.limit = 0xffffffff;
  s.selector = code ? 8 : 16;
  s.type = code ? 0xb : 0x3;  // execute-read or read-write, accessed
  s.present = 1;
  s.s = 1;
  s.g = 1;
  s.l = code ? 1 : 0;
  s.db = code ? 0 : 1;
  return s;
}

// Intel SDM volume 3, section 10.8.5: PAE, then LME, then PG give long mode.
void enter_long_mode(kvm_sregs& sregs) {
  constexpr std::uint64_t kPe = 1;
  constexpr std::uint64_t kEt = 1U << 4U;
  constexpr std::uint64_t kNe = 1U << 5U;
  constexpr std::uint64_t kPg = 1U << 31U;
  constexpr std::uint64_t kPae = 1U << 5U;
  constexpr std::uint64_t kLmeLma = (1U << 8U) | (1U << 10U);
  sregs.cr0 = kPe | kEt | kNe | kPg;
  sregs.cr3 = kPml4;
  sregs.cr4 = kPae;
  sregs.efer = kLmeLma;
  sregs.cs = segment(true);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment(false);
}

// ---- the run; in a child process, so only system calls ----

struct Outcome {
  enum class Step : int { kDone, kFailed, kExit, kInternal, kWrong } step = Step::kDone;
  int value = 0;          // errno, exit reason, suberror or the wrong sum
  const char* what = "";  // valid in both processes: they share the program's text
};

using Step = Outcome::Step;

Outcome failed(const char* what) { return {Step::kFailed, errno, what}; }

// struct kvm_cpuid2 is a header of 8 bytes (nent, padding) and its entries. C++ gives the flexible
// array of linux/kvm.h another place and the struct another size, which is part of the ioctl's
// number: so both are spelt out.
constexpr std::size_t kCpuidHeader = 8;
constexpr unsigned long kGetSupportedCpuid =
    _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, kCpuidHeader);
constexpr unsigned long kSetCpuid2 = _IOC(_IOC_WRITE, KVMIO, 0x90, kCpuidHeader);

Outcome give_cpuid(int kvm, int vcpu) {
  constexpr std::uint32_t kEntries = 256;
  alignas(8) static std::array<std::uint8_t, kCpuidHeader + kEntries * sizeof(kvm_cpuid_entry2)>
      buffer;
  std::memcpy(buffer.data(), &kEntries, sizeof kEntries);
  if (::ioctl(kvm, kGetSupportedCpuid, buffer.data()) != 0) {
    return failed("KVM_GET_SUPPORTED_CPUID");
  }
  if (::ioctl(vcpu, kSetCpuid2, buffer.data()) != 0) return failed("KVM_SET_CPUID2");
  return {};
}

Outcome set_registers(int vcpu) {
  kvm_sregs sregs{};
  if (::ioctl(vcpu, KVM_GET_SREGS, &sregs) != 0) return failed("KVM_GET_SREGS");
  enter_long_mode(sregs);
  if (::ioctl(vcpu, KVM_SET_SREGS, &sregs) != 0) return failed("KVM_SET_SREGS");
  kvm_regs regs{};
  regs.rip = kCode;
  regs.rsp = kStack;
  regs.rflags = 2;  // the bit that is always set
  if (::ioctl(vcpu, KVM_SET_REGS, &regs) != 0) return failed("KVM_SET_REGS");
  return {};
}

Outcome run(int vcpu, const kvm_run& state) {
  for (int i = 0; i < kMaxExits; ++i) {
    if (::ioctl(vcpu, KVM_RUN, 0) != 0) {
      if (errno == EINTR) continue;
      return failed("KVM_RUN");
    }
    if (state.exit_reason == KVM_EXIT_INTERNAL_ERROR) {
      return {Step::kInternal, static_cast<int>(state.internal.suberror), ""};
    }
    if (state.exit_reason != KVM_EXIT_IO || state.io.port != kPort) {
      return {Step::kExit, static_cast<int>(state.exit_reason), ""};
    }
    std::uint32_t sum = 0;
    // SAFETY: KVM keeps the data of an I/O exit inside the shared page, at this offset.
    std::memcpy(&sum, reinterpret_cast<const std::uint8_t*>(&state) + state.io.data_offset,
                sizeof sum);
    if (sum != kWant) return {Step::kWrong, static_cast<int>(sum), ""};
    return {};
  }
  return {Step::kExit, KVM_EXIT_INTR, ""};
}

Outcome probe_inside(int kvm) {
  if (::ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) return failed("KVM_GET_API_VERSION");
  const int vm = ::ioctl(kvm, KVM_CREATE_VM, 0);
  if (vm < 0) return failed("KVM_CREATE_VM");
  void* memory =
      ::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return failed("mmap");
  load_guest(static_cast<std::uint8_t*>(memory));
  kvm_userspace_memory_region region{};
  region.memory_size = kMemory;
  // SAFETY: the mapping stays until the process ends.
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory);
  if (::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0) {
    return failed("KVM_SET_USER_MEMORY_REGION");
  }
  const int vcpu = ::ioctl(vm, KVM_CREATE_VCPU, 0);
  if (vcpu < 0) return failed("KVM_CREATE_VCPU");
  const int size = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < static_cast<int>(sizeof(kvm_run))) return failed("KVM_GET_VCPU_MMAP_SIZE");
  void* shared =
      ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (shared == MAP_FAILED) return failed("mmap");
  if (const Outcome o = give_cpuid(kvm, vcpu); o.step != Step::kDone) return o;
  if (const Outcome o = set_registers(vcpu); o.step != Step::kDone) return o;
  // SAFETY: the kernel lays a kvm_run at the start of this mapping.
  return run(vcpu, *static_cast<const kvm_run*>(shared));
}

KvmState describe(const Outcome& outcome) {
  constexpr std::string_view kCannot = "KVM cannot run an ordinary guest";
  switch (outcome.step) {
    case Step::kDone:
      return {true, ""};
    case Step::kFailed:
      return {false,
              fmt::format("{}: {}", kCannot, errno_error(outcome.value, outcome.what).message())};
    case Step::kExit:
      return {false, fmt::format("{}: unexpected exit {}", kCannot, outcome.value)};
    case Step::kInternal:
      return {false,
              fmt::format("{}: KVM_EXIT_INTERNAL_ERROR suberror {}", kCannot, outcome.value)};
    case Step::kWrong:
      return {false, fmt::format("{}: it computed {}, want {}", kCannot, outcome.value, kWant)};
  }
  return {false, std::string(kCannot)};
}

KvmState probe_in_child(int kvm) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return {false, errno_error(errno, "make a pipe").message()};
  }
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return {false, errno_error(errno, "fork").message()};
  if (child == 0) {
    // A guest that never exits ends with us.
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(kDeadlineSeconds);
    const Outcome outcome = probe_inside(kvm);
    const ssize_t written = ::write(write_end.get(), &outcome, sizeof outcome);
    ::_exit(written == ssize_t{sizeof outcome} ? 0 : 1);
  }
  write_end.reset();
  Outcome outcome;
  const auto answer = read_all(read_end.get(), sizeof outcome, "KVM probe");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!answer || answer->size() != sizeof outcome) {
    return {false, fmt::format("KVM cannot run an ordinary guest: it gave no answer in {} s",
                               kDeadlineSeconds)};
  }
  std::memcpy(&outcome, answer->data(), sizeof outcome);
  return describe(outcome);
}

// ---- what was found since the last boot ----

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id", 64).value_or("");
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::optional<KvmState> remembered(const std::filesystem::path& file, const std::string& boot) {
  // Only root may answer for the hardware.
  struct stat info{};
  constexpr mode_t kOthersWrite = 022;
  if (::lstat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != ::geteuid() ||
      (info.st_mode & kOthersWrite) != 0) {
    return std::nullopt;
  }
  constexpr std::size_t kMaxRecord = 1024;
  const auto text = read_file(file, kMaxRecord);
  if (!text || !text->starts_with(boot + "\n") || !text->ends_with("\n")) return std::nullopt;
  std::string reason = text->substr(boot.size() + 1);
  reason.pop_back();
  return KvmState{reason.empty(), reason};
}

Result<Fd> open_device(const std::filesystem::path& device) { return open_file(device, O_RDWR); }

}  // namespace

KvmState probe_kvm(const std::filesystem::path& device) {
  const auto kvm = open_device(device);
  if (!kvm) return {false, kvm.error().message()};
  return probe_in_child(kvm->get());
}

KvmState kvm_state(const std::filesystem::path& dir, const std::filesystem::path& device) {
  const auto kvm = open_device(device);
  if (!kvm) return {false, kvm.error().message()};
  const std::string boot = boot_id();
  const auto file = dir / "kvm-probe";
  if (!boot.empty()) {
    if (auto known = remembered(file, boot)) return *std::move(known);
  }
  KvmState state = probe_in_child(kvm->get());
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (!boot.empty()) (void)write_file_atomic(file, boot + "\n" + state.reason + "\n");
  return state;
}

}  // namespace coffer::host
