#include "cli/launch/tpm.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/subprocess.h"
#include "tee/emulator/tpm_pki.h"
#include "tee/tpm/device.h"
#include "tee/tpm/key.h"
#include "tee/tpm/predict.h"

namespace coffer::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBoot = std::size_t{1} << 30U;
constexpr const char* kSwtpm = "/usr/bin/swtpm";
constexpr int kPatienceMs = 10000;

// swtpm with fresh state in a folder, on two sockets there, until it is destroyed.
class SoftwareTpm {
 public:
  static Result<SoftwareTpm> start(const fs::path& folder) {
    if (::access(kSwtpm, X_OK) != 0) {
      return fail(Code::kFailedPrecondition,
                  fmt::format("there is no '{}' (install swtpm)", kSwtpm));
    }
    const fs::path ready = folder / "ready";
    if (::mkfifo(ready.c_str(), 0600) != 0) return fail_errno(errno, "make a fifo for swtpm");
    COFFER_TRY(const Fd fifo, open_file(ready, O_RDONLY | O_NONBLOCK));
    COFFER_TRY(Child child, spawn(program(folder, ready)));
    // It writes its pid when it listens on both.
    std::array<pollfd, 2> ends = {pollfd{.fd = fifo.get(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = child.pidfd(), .events = POLLIN, .revents = 0}};
    int polled = 0;
    do {
      polled = ::poll(ends.data(), ends.size(), kPatienceMs);
    } while (polled < 0 && errno == EINTR);
    if ((ends[0].revents & POLLIN) == 0) {
      return fail(Code::kUnavailable, "start swtpm: it ended, or does not listen");
    }
    return SoftwareTpm(folder, std::move(child));
  }
  SoftwareTpm(SoftwareTpm&&) noexcept = default;
  SoftwareTpm& operator=(SoftwareTpm&&) noexcept = default;
  SoftwareTpm(const SoftwareTpm&) = delete;
  SoftwareTpm& operator=(const SoftwareTpm&) = delete;
  ~SoftwareTpm() {
    std::error_code ignored;
    for (const char* name : {"ready", "tpm", "tpm.ctrl"}) fs::remove(folder_ / name, ignored);
  }

  // tpm2-tss takes the control socket's path to be this with ".ctrl" after it.
  [[nodiscard]] std::string tcti() const {
    return fmt::format("swtpm:path={}", (folder_ / "tpm").native());
  }

 private:
  SoftwareTpm(fs::path folder, Child child)
      : folder_(std::move(folder)), child_(std::move(child)) {}

  static SpawnOptions program(const fs::path& folder, const fs::path& ready) {
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

  fs::path folder_;
  Child child_;
};

Status make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0) {
    return fail_errno(errno, fmt::format("make folder '{}'", folder.string()));
  }
  return {};
}

Result<tee::PublicKey> manufacture(const fs::path& folder) {
  COFFER_TRY_VOID(make_folder(folder));
  COFFER_TRY(const SoftwareTpm software, SoftwareTpm::start(folder));
  COFFER_TRY(tpm::Tpm tpm, tpm::Tpm::open(software.tcti()));
  COFFER_TRY_VOID(tpm.allocate_bank(eventlog::Alg::kSha256));
  COFFER_TRY(const Bytes ak, tpm.create_ak());
  COFFER_TRY_VOID(tpm.shut_down());
  COFFER_TRY(tpm::AttestationKey key, tpm::parse_tpm_public(ak));
  return std::move(key.key);
}

}  // namespace

Result<nlohmann::json> tpm_launch(const Request& request) {
  COFFER_TRY(const std::string kernel, read_file(request.kernel, kMaxBoot));
  std::string initrd;
  tpm::DirectBoot boot{.kernel = as_bytes(kernel),
                       .initrd = {},
                       .command_line = request.append,
                       .patched_for_memory = request.memory_mib << 20U};
  if (!request.initrd.empty()) {
    COFFER_TRY(initrd, read_file(request.initrd, kMaxBoot));
    boot.initrd = as_bytes(initrd);
  }
  COFFER_TRY(const auto pcrs, tpm::predict_pcrs(boot, eventlog::Alg::kSha256, nullptr));
  auto out = nlohmann::json::object();
  for (const auto& [pcr, value] : pcrs) out[fmt::format("pcr{:02}", pcr)] = to_hex(value);
  return out;
}

Status make_tpm(const Request& request, const nlohmann::json& pki) {
  COFFER_TRY(const auto maker, emulator::FakeTpmMaker::load(pki.dump()));
  auto key = manufacture(request.tpm);
  if (!key) return fail(std::move(key).error().with_context("make the pod's software TPM"));
  COFFER_TRY(const Bytes certificate, maker.certify(*key));
  return write_file(request.ak_certificate, as_text(certificate), 0600);
}

}  // namespace coffer::launch
