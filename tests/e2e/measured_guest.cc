// PID 1 of a measured guest: waits for a nonce on its second serial port, asks the TPM for a quote
// with our attester, writes the evidence as one line of JSON, and powers off.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "tee/tpm/device.h"

namespace coffer {
namespace {

constexpr std::string_view kPort = "/dev/ttyS1";
constexpr std::size_t kMaxLine = 256;

Status mount_all() {
  struct Mount {
    const char* type;
    const char* target;
  };
  for (const auto& [type, target] :
       {Mount{"proc", "/proc"}, Mount{"sysfs", "/sys"}, Mount{"devtmpfs", "/dev"},
        Mount{"securityfs", "/sys/kernel/security"}}) {
    if (::mount(type, target, type, 0, nullptr) != 0 && errno != EBUSY) {
      return fail_errno(errno, fmt::format("mount {}", target));
    }
  }
  return {};
}

Result<Fd> open_port() {
  COFFER_TRY(Fd port, open_file(kPort, O_RDWR | O_NOCTTY));
  termios settings{};
  if (::tcgetattr(port.get(), &settings) != 0) return fail_errno(errno, "read the port's settings");
  ::cfmakeraw(&settings);
  if (::tcsetattr(port.get(), TCSANOW, &settings) != 0) return fail_errno(errno, "set the port");
  return port;
}

Result<Bytes> read_nonce(const Fd& port) {
  std::string line;
  for (char c = 0; line.size() < kMaxLine;) {
    const ssize_t count = ::read(port.get(), &c, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail_errno(errno, "read the nonce");
    if (c == '\n') return from_hex(line);
    line += c;
  }
  return fail(Code::kInvalidArgument, "read the nonce: too long");
}

Result<std::string> take_evidence(BytesView nonce) {
  COFFER_TRY(const auto evidence, tpm::make_attester({})->evidence(nonce));
  auto out = nlohmann::json::parse(as_text(evidence.auxiliary), nullptr, false);
  out["attest"] = to_base64(evidence.report);
  out["event_log"] = to_base64(evidence.manifest);
  return out.dump();
}

Status serve() {
  COFFER_TRY_VOID(mount_all());
  COFFER_TRY(const Fd port, open_port());
  COFFER_TRY_VOID(write_all(port.get(), as_bytes("measured guest ready\n"), kPort));
  COFFER_TRY(const Bytes nonce, read_nonce(port));
  auto evidence = take_evidence(nonce);
  const std::string answer = evidence
                                 ? *std::move(evidence)
                                 : nlohmann::json{{"error", evidence.error().to_string()}}.dump();
  COFFER_TRY_VOID(write_all(port.get(), as_bytes(answer + "\n"), kPort));
  if (::tcdrain(port.get()) != 0) return fail_errno(errno, "drain the port");
  return {};
}

}  // namespace
}  // namespace coffer

int main() {
  if (const auto status = coffer::serve(); !status) {
    std::fprintf(stderr, "measured guest: %s\n", status.error().to_string().c_str());
  }
  ::sync();
  ::reboot(RB_POWER_OFF);
  return 1;
}
