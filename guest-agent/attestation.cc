#include "guest-agent/attestation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/fd.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "tee/detect.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "initdata";
constexpr std::chrono::seconds kInitdataPatience{30};
// More than coffer-attester's own attempts take together.
constexpr std::chrono::seconds kAttestPatience{180};
// A program that ends again and again ends for a reason that another start does not mend; a
// container that is made later tries once more.
constexpr unsigned kMaxRestarts = 16;
constexpr int kEmulatorPatienceMs = 30000;
constexpr std::size_t kMaxSaid = 4096;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool begins_with_magic(const fs::path& path) {
  const auto disk = open_file(path, O_RDONLY);
  if (!disk) return false;
  std::array<char, kMagic.size()> start{};
  const ssize_t count = ::pread(disk->get(), start.data(), start.size(), 0);
  return count == static_cast<ssize_t>(start.size()) &&
         std::string_view(start.data(), start.size()) == kMagic;
}

// Before the event loop there is nothing that this could hold up.
Result<RunResult> run_alone(SpawnOptions program, RunOptions options) {
  asio::io_context loop(1);
  Result<RunResult> out = fail(Code::kInternal, "it did not run");
  asio::co_spawn(loop, coffer::run(std::move(program), std::move(options)),
                 [&](const std::exception_ptr& error, Result<RunResult> ran) {
                   if (!error) out = std::move(ran);
                 });
  loop.run();
  return out;
}

std::string last_words(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.empty() ? "it ended without a word" : text;
}

struct Pipe {
  Fd read_end, write_end;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// coffer-attester's end of the gate's connection, there.
constexpr int kGateFd = 3;

Result<Pipe> make_gate() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
    return fail_errno(errno, "make a socket pair");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// What comes until a newline, the end, or the deadline.
Task<std::string> read_line(int fd, Deadline deadline) {
  (void)::fcntl(fd, F_SETFL, O_NONBLOCK);
  std::string line;
  std::array<char, 512> buffer{};
  while (line.size() < kMaxSaid && !line.ends_with('\n')) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count > 0) {
      line.append(buffer.data(), static_cast<std::size_t>(count));
      continue;
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) break;
    const auto ready = co_await wait_readable(fd, deadline);
    if (!ready || !*ready) break;
  }
  co_return line;
}

}  // namespace

std::optional<fs::path> find_initdata_disk(const fs::path& dev) {
  std::vector<fs::path> disks;
  std::error_code error;
  for (fs::directory_iterator it(dev, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string name = it->path().filename();
    const bool disk = name.starts_with("vd") || name.starts_with("sd");
    if (disk && !it->is_directory(error)) disks.push_back(it->path());
  }
  std::ranges::sort(disks);
  for (const auto& disk : disks) {
    if (begins_with_magic(disk)) return disk;
  }
  return std::nullopt;
}

Attestation::Attestation(AttestationSettings settings, Logger log)
    : settings_(std::move(settings)), log_(std::move(log)) {}

Status Attestation::prepare() {
  COFFER_TRY_VOID(start_emulator());
  COFFER_TRY_VOID(find_tee());
  const auto disk = find_initdata_disk(settings_.dev);
  // Without the program there is nothing that could check, and so nothing is taken.
  if (!is_there(settings_.attester)) {
    if (!disk) return {};
    return fail(Code::kFailedPrecondition,
                fmt::format("take initdata: this image has no '{}'", settings_.attester.string()));
  }
  if (!disk && tee_ == "none") return {};
  COFFER_TRY(const std::string summary, run_attester(disk.value_or(fs::path())));
  COFFER_TRY_VOID(take_summary(summary));
  log_.info("initdata is taken", {{"tee", tee_}, {"summary", summary}});
  return {};
}

Status Attestation::start_emulator() {
  if (!is_there(settings_.emulator) || !is_there(settings_.emulated_guest)) return {};
  std::error_code error;
  fs::create_directories(settings_.emulated_root, error);
  COFFER_TRY(Pipe said, make_pipe());
  SpawnOptions program;
  program.argv = {settings_.emulator.native(), "serve", settings_.emulated_guest.native(),
                  settings_.emulated_root.native()};
  program.fds.emplace_back(STDOUT_FILENO, said.write_end.get());
  program.fds.emplace_back(STDERR_FILENO, STDERR_FILENO);
  COFFER_TRY(Child emulator, spawn(program));
  said.write_end.reset();
  pollfd wait{.fd = said.read_end.get(), .events = POLLIN, .revents = 0};
  std::array<char, 64> line{};
  const bool mounted = ::poll(&wait, 1, kEmulatorPatienceMs) == 1 &&
                       ::read(said.read_end.get(), line.data(), line.size()) > 0;
  if (!mounted) return fail(Code::kFailedPrecondition, "start the emulated TEE: it did not mount");
  // It serves for the guest's life.
  std::ignore = emulator.release();
  root_ = settings_.emulated_root;
  log_.warn("the TEE is emulated: the host can read this guest's memory");
  return {};
}

Status Attestation::find_tee() {
  COFFER_TRY(const auto found, tee::detect_tee(tee::DevicePaths::below(root_)));
  if (found) {
    tee_ = *found;
  } else if (is_there(settings_.emulator)) {
    tee_ = "sample";  // the development image alone takes evidence that proves nothing
  }
  return {};
}

Result<std::string> Attestation::run_attester(const fs::path& device) const {
  SpawnOptions program;
  program.argv = {settings_.attester.native(), "initdata", tee_, root_.native(),
                  settings_.folder.native()};
  if (!device.empty()) program.argv.push_back(device.native());
  RunOptions options;
  options.deadline = deadline_in(kInitdataPatience);
  COFFER_TRY(RunResult ran, run_alone(std::move(program), std::move(options)));
  if (ran.status.as_shell() == 0) return std::move(ran.out);
  return fail(Code::kPermissionDenied, last_words(std::move(ran.err)));
}

Status Attestation::take_summary(const std::string& summary) {
  COFFER_TRY(const auto json, parse_json(summary, "coffer-attester's answer"));
  if (!json.is_object()) return fail(Code::kInternal, "coffer-attester's answer: want an object");
  broker_ = json.value("kbs", "");
  for (const auto& warning : json.value("warnings", nlohmann::json::array()))
    if (warning.is_string())
      log_.warn("initdata: setting ignored", {{"reason", warning.get<std::string>()}});
  const auto required = json.find("required");
  // The tenant's word counts only where the hardware vouches for it.
  const bool bound = json.value("bound", false);
  if (required != json.end() && required->is_boolean() && (bound || required->get<bool>())) {
    settings_.required = required->get<bool>();
  }
  return {};
}

std::optional<fs::path> Attestation::policy_file() const {
  auto file = settings_.folder / "policy.rego";
  if (!is_there(file)) return std::nullopt;
  return file;
}

Task<Status> Attestation::ready_for_containers() {
  if (attested_ || (!settings_.required && broker_.empty())) co_return Status{};
  if (broker_.empty()) {
    co_return fail(Code::kFailedPrecondition,
                   "create container: attestation is required, and no key broker is named (give "
                   "initdata whose aa.toml has [token_configs.kbs] url)");
  }
  if (!mutex_) mutex_.emplace(co_await asio::this_coro::executor);
  const auto lock = co_await mutex_->lock();
  if (attested_) co_return Status{};
  Status done = co_await attest();
  attested_ = done.has_value();
  if (attested_) {
    log_.info("attested", {{"kbs", broker_}, {"tee", tee_}});
    co_return Status{};
  }
  log_.error("the guest could not attest", {{"kbs", broker_}, {"error", done.error()}});
  refusal_ = done.error().to_string();
  if (settings_.required) {
    co_return std::unexpected(std::move(done).error().with_context("create container"));
  }
  co_return Status{};
}

// The program lives on, and serves the containers' requests, once it has said "attested".
Task<Status> Attestation::attest() {
  COFFER_CO_TRY(Pipe said, make_pipe());
  COFFER_CO_TRY(Pipe errors, make_pipe());
  SpawnOptions program;
  program.argv.push_back(settings_.attester.native());
  program.argv.emplace_back("serve");
  program.argv.push_back(tee_);
  program.argv.push_back(root_.native());
  program.argv.push_back(settings_.folder.native());
  program.argv.push_back(settings_.components);
  program.argv.push_back(settings_.rest_api);
  program.argv.push_back(std::to_string(kGateFd));
  program.fds.emplace_back(STDOUT_FILENO, said.write_end.get());
  program.fds.emplace_back(STDERR_FILENO, errors.write_end.get());
  COFFER_CO_TRY(Pipe gate, make_gate());
  program.fds.emplace_back(kGateFd, gate.write_end.get());
  COFFER_CO_TRY(Child attester, spawn(program));
  said.write_end.reset();
  errors.write_end.reset();
  gate.write_end.reset();
  if (serve_gate_) serve_gate_(std::move(gate.read_end));
  const Deadline deadline = deadline_in(kAttestPatience);
  const std::string line = co_await read_line(said.read_end.get(), deadline);
  if (line == "attested\n") {
    Fd running = attester.release();
    if (scope_ != nullptr) scope_->spawn(watch(std::move(running)));
    co_return Status{};
  }
  std::string reason = co_await read_line(errors.read_end.get(), deadline);
  co_return fail(Code::kFailedPrecondition,
                 fmt::format("attest to '{}': {}", broker_, last_words(std::move(reason))));
}

// Whatever ended it: what it served is gone, and containers go on asking.
Task<void> Attestation::watch(Fd attester) {
  const auto gone = co_await wait_process_gone(attester.get());
  if (!gone) {
    log_.error("coffer-attester is not watched", {{"error", gone.error()}});
    co_return;
  }
  attested_ = false;
  refusal_ = "coffer-attester, which opens secrets, has ended";
  if (restarts_ == kMaxRestarts) {
    log_.error("coffer-attester has ended too often: the next container starts it again",
               {{"restarts", restarts_}});
    co_return;
  }
  ++restarts_;
  log_.error("coffer-attester has ended, and is started again", {{"restarts", restarts_}});
  // Says itself how that went.
  const Status again = co_await ready_for_containers();
  (void)again;
}

bool Attestation::can_unseal() const { return is_there(settings_.attester); }

Task<Result<SecretBytes>> Attestation::unseal(std::string sealed) {
  if (attested_) co_return co_await ask_unseal(settings_.data_hub, std::move(sealed));
  co_return fail(Code::kFailedPrecondition,
                 broker_.empty() ? "no key broker is named that could open it (give initdata whose "
                                   "aa.toml has [token_configs.kbs] url)"
                                 : refusal_);
}

}  // namespace coffer::agent
