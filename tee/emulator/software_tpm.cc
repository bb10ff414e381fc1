#include "tee/emulator/software_tpm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/fd.h"

namespace coffer::emulator {
namespace {

namespace fs = std::filesystem;

// It ends or it listens: this is for one that does neither, on a machine that has much to do.
constexpr int kPatienceMs = 120000;

SpawnOptions program(const fs::path& folder, const fs::path& ready) {
  SpawnOptions options;
  options.argv = {kSwtpm,
                  "socket",
                  "--tpm2",
                  "--tpmstate",
                  fmt::format("dir={}", folder.native()),
                  "--server",
                  fmt::format("type=unixio,path={},mode=0600", (folder / "tpm").native()),
                  "--ctrl",
                  fmt::format("type=unixio,path={},mode=0600", (folder / "tpm.ctrl").native()),
                  "--flags",
                  "not-need-init,startup-clear",
                  "--pid",
                  fmt::format("file={}", ready.native())};
  options.parent_death_signal = SIGKILL;
  return options;
}

// It writes its pid when it listens on both sockets.
bool wait_ready(int fifo, int child) {
  std::array<pollfd, 2> ends = {pollfd{.fd = fifo, .events = POLLIN, .revents = 0},
                                pollfd{.fd = child, .events = POLLIN, .revents = 0}};
  while (::poll(ends.data(), ends.size(), kPatienceMs) < 0 && errno == EINTR) {
  }
  return (ends[0].revents & POLLIN) != 0;
}

}  // namespace

Result<std::unique_ptr<SoftwareTpm>> SoftwareTpm::start(const fs::path& folder) {
  if (::access(kSwtpm, X_OK) != 0) {
    return fail(Code::kFailedPrecondition, fmt::format("there is no '{}' (install swtpm)", kSwtpm));
  }
  const fs::path ready = folder / "ready";
  if (::mkfifo(ready.c_str(), 0600) != 0) return fail_errno(errno, "make a fifo for swtpm");
  COFFER_TRY(const Fd fifo, open_file(ready, O_RDONLY | O_NONBLOCK));
  COFFER_TRY(Child child, spawn(program(folder, ready)));
  if (!wait_ready(fifo.get(), child.pidfd())) {
    return fail(Code::kUnavailable, "start swtpm: it ended, or does not listen");
  }
  return std::unique_ptr<SoftwareTpm>(new SoftwareTpm(folder, std::move(child)));
}

SoftwareTpm::~SoftwareTpm() {
  std::error_code ignored;
  for (const char* name : {"ready", "tpm", "tpm.ctrl"}) fs::remove(folder_ / name, ignored);
}

// tpm2-tss takes the control socket's path to be this with ".ctrl" after it.
std::string SoftwareTpm::tcti() const {
  return fmt::format("swtpm:path={}", (folder_ / "tpm").native());
}

}  // namespace coffer::emulator
