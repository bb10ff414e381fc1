#include "cli/direct_boot.h"

#include "base/fd.h"
#include "cli/memory_size.h"

namespace coffer::cli {
namespace {

constexpr std::size_t kMaxKernel = std::size_t{1} << 30U;
constexpr std::size_t kMaxInitrd = std::size_t{4} << 30U;

}  // namespace

void declare_boot(Options& options, BootFlags& flags) {
  options.value("--kernel", &flags.kernel, "kernel of a direct boot")
      .value("--initrd", &flags.initrd, "its initrd")
      .value("--append", &flags.append, "its command line")
      .value("--memory", &flags.memory,
             "memory of a plain VM, such as 2G: QEMU writes into its kernel's header")
      .value("--reference-log", &flags.reference, "take PCR 0, 1 and 7 from this log");
}

Result<BootFiles> BootFiles::read(const BootFlags& flags) {
  if (flags.kernel.empty()) {
    return fail(Code::kInvalidArgument, "option '--kernel': is needed");
  }
  BootFiles out;
  COFFER_TRY(const std::string kernel, read_file(flags.kernel, kMaxKernel));
  out.kernel_ = to_bytes(kernel);
  out.command_line_ = flags.append;
  if (!flags.initrd.empty()) {
    COFFER_TRY(const std::string initrd, read_file(flags.initrd, kMaxInitrd));
    out.initrd_ = to_bytes(initrd);
  }
  if (!flags.memory.empty()) {
    COFFER_TRY(out.memory_, parse_memory_size("--memory", flags.memory));
  }
  if (!flags.reference.empty()) {
    COFFER_TRY(const std::string reference, read_file(flags.reference));
    out.reference_ = to_bytes(reference);
    COFFER_TRY(out.log_, eventlog::parse_event_log(out.reference_));
  }
  return out;
}

tpm::DirectBoot BootFiles::boot() const {
  tpm::DirectBoot boot{.kernel = kernel_,
                       .initrd = {},
                       .command_line = command_line_,
                       .patched_for_memory = memory_};
  if (initrd_) boot.initrd = *initrd_;
  return boot;
}

}  // namespace coffer::cli
