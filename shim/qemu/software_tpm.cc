#include "shim/qemu/software_tpm.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace coffer::shim {
namespace {

constexpr int kControlFd = 3;  // its number in swtpm

}  // namespace

Result<SoftwareTpm> start_software_tpm(const std::filesystem::path& state, int netns_fd) {
  if (::access(kSwtpm, X_OK) != 0) {
    return fail(Code::kFailedPrecondition,
                fmt::format("start the software TPM: there is no '{}' (install swtpm)", kSwtpm));
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "start the software TPM: make a socket pair");
  }
  Fd control(ends[0]);
  const Fd theirs(ends[1]);
  const auto log = state.parent_path() / "swtpm.log";
  SpawnOptions program;
  program.argv = {kSwtpm,       "socket",
                  "--tpm2",     "--terminate",
                  "--tpmstate", fmt::format("dir={}", state.native()),
                  "--ctrl",     fmt::format("type=unixio,clientfd={}", kControlFd),
                  "--log",      fmt::format("file={},level=1", log.native())};
  program.fds.emplace_back(kControlFd, theirs.get());
  program.netns_fd = netns_fd;
  program.new_process_group = true;
  program.parent_death_signal = SIGKILL;
  auto child = spawn(program);
  if (!child) return fail(std::move(child).error().with_context("start the software TPM"));
  return SoftwareTpm{.child = *std::move(child), .control = std::move(control)};
}

}  // namespace coffer::shim
