// Many guests at once against a real coffer-kbs, over TLS on loopback: what a handshake and a
// resource cost the server in CPU, beside the bare cryptography of a handshake in the same run, and
// how long guests wait.
//
// All guests take one step together: connect and get a challenge; then, evidence having been made
// meanwhile, attest; then read. Evidence comes from emulated SNP and TDX platforms, whose
// signatures this process makes: its CPU is the client's, and is counted apart. Per second and core
// is what the server's CPU time allows; the times waited are those of a machine that clients share.

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include "bench/kbs/bare.h"
#include "bench/kbs/guest.h"
#include "bench/kbs/measure.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/store/postgres_cluster.h"

namespace coffer::bench {
namespace {

namespace fs = std::filesystem;
using protocol::Tee;
using testing::RunningKbs;

constexpr int kMaxGuests = 1000;  // what a coffer-kbs takes of one address, but for some
constexpr int kMaxRounds = 1000;
constexpr std::string_view kPath = "default/key/1";
constexpr std::string_view kSecret = "a secret of thirty-two octets or so";
constexpr double kMillion = 1e6;
constexpr const char* kUsage =
    "usage: kbs_load [--guests N] [--rounds N] [--reads N] [--seconds N] [--postgres 1]\n"
    "                [--tee snp|tdx]\n"
    "\n"
    "Starts a coffer-kbs of its own and sends it N guests at once (1000), in so many rounds (1),\n"
    "each of which reads its secret so many times (5); gives up after so many seconds (600).\n"
    "--postgres 1: on a throwaway PostgreSQL instead of SQLite.\n";

struct Options {
  int guests = 1000, rounds = 1, reads = 5, seconds = 600, postgres = 0;
  std::vector<Tee> tees = {Tee::kSnp, Tee::kTdx};
};

// What a kind of request cost, over all rounds.
struct Step {
  std::size_t requests = 0;
  double server = 0, client = 0;  // seconds of CPU
  std::vector<double> waited;     // milliseconds, of each request

  [[nodiscard]] double server_us() const {
    return requests == 0 ? 0 : server * kMillion / static_cast<double>(requests);
  }
};

struct Steps {
  Step begin, attest, read;
  std::vector<double> handshakes;  // milliseconds: begin and attest of one guest
  Memory memory;                   // with every guest connected
};

class Load {
 public:
  Load(const Options& options, const Vendors& vendors, RunningKbs& kbs)
      : options_(options),
        vendors_(vendors),
        kbs_(kbs),
        end_(std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds)) {
    tls_.set_verify_mode(asio::ssl::verify_peer);
    const std::string pem = kbs.certificate();
    tls_.add_certificate_authority(asio::buffer(pem));
    tls_.set_verify_callback(asio::ssl::host_name_verification("127.0.0.1"));
    const std::string& url = kbs.url();
    broker_ = {asio::ip::make_address("127.0.0.1"),
               static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)))};
  }

  void round(Tee tee, int count, Steps& steps) {
    asio::io_context io(1);
    std::vector<std::unique_ptr<Guest>> guests;
    for (int i = 0; i < count; ++i) guests.push_back(std::make_unique<Guest>(io, tls_, tee));
    const std::size_t before = steps.begin.waited.size();
    together(io, guests, steps.begin, [&](Guest& guest) { return guest.begin(broker_); });
    for (auto& guest : guests) {
      const auto made = guest->make_evidence(vendors_);
      check(made.has_value(), made ? "" : made.error().to_string());
    }
    together(io, guests, steps.attest, [](Guest& guest) { return guest.attest(); });
    for (int i = 0; i < options_.reads; ++i) {
      together(io, guests, steps.read, [](Guest& guest) { return read(guest); });
    }
    for (std::size_t i = before; i < steps.begin.waited.size(); ++i) {
      steps.handshakes.push_back(steps.begin.waited[i] + steps.attest.waited[i]);
    }
    const Memory now = memory_of(kbs_.pid());
    if (now.resident > steps.memory.resident) steps.memory = now;
  }

 private:
  using Action = std::function<Task<>(Guest&)>;

  static Task<> read(Guest& guest) {
    const std::string secret = co_await guest.read(std::string(kPath));
    if (secret != kSecret) throw std::runtime_error("the secret is another one");
  }

  // Of guest `index`; its time goes to `waited`.
  static Task<> timed(Guest& guest, const Action& action, double& waited) {
    const auto start = std::chrono::steady_clock::now();
    co_await action(guest);
    waited =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  void together(asio::io_context& io, std::vector<std::unique_ptr<Guest>>& guests, Step& step,
                const Action& action) {
    std::vector<double> waited(guests.size());
    std::size_t done = 0;
    const double server = cpu_seconds(kbs_.pid());
    const double client = cpu_seconds(::getpid());
    for (std::size_t i = 0; i < guests.size(); ++i) {
      asio::co_spawn(io, timed(*guests[i], action, waited[i]), [&](std::exception_ptr failed) {
        if (failed) std::rethrow_exception(failed);
        ++done;
      });
    }
    io.restart();
    io.run_until(end_);
    check(done == guests.size(), "not done in time (see --seconds)");
    step.server += cpu_seconds(kbs_.pid()) - server;
    step.client += cpu_seconds(::getpid()) - client;
    step.requests += guests.size();
    step.waited.insert(step.waited.end(), waited.begin(), waited.end());
  }

  const Options& options_;
  const Vendors& vendors_;
  RunningKbs& kbs_;
  std::chrono::steady_clock::time_point end_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  asio::ip::tcp::endpoint broker_;
};

void print_row(std::string_view tee, std::string_view what, const Step& step) {
  fmt::print("| {} | {} | {} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} |\n", tee, what,
             step.requests, step.server_us(), kMillion / step.server_us(),
             step.client * kMillion / static_cast<double>(step.requests),
             quantile(step.waited, 0.5), quantile(step.waited, 0.99));
}

void print_table(const std::map<Tee, Steps>& all, const BareCosts& bare, double idle) {
  fmt::print(
      "| TEE | what | count | server, CPU us | per second and core | client, CPU us | p50, ms | "
      "p99, ms |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const auto& [tee, steps] : all) {
    const std::string name(protocol::tee_name(tee));
    print_row(name, "connect and auth", steps.begin);
    print_row(name, "attest", steps.attest);
    Step whole = steps.begin;
    whole.server += steps.attest.server;
    whole.client += steps.attest.client;
    whole.waited = steps.handshakes;
    print_row(name, "full handshake", whole);
    print_row(name, "resource read", steps.read);
  }
  fmt::print(
      "\n| TEE | handshake, CPU us | its bare cryptography, CPU us | ratio |\n"
      "| --- | --- | --- | --- |\n");
  for (const auto& [tee, steps] : all) {
    const double evidence = tee == Tee::kSnp ? bare.snp : bare.tdx;
    const double least = bare.tls + evidence + bare.sign_token;
    const double found = steps.begin.server_us() + steps.attest.server_us();
    fmt::print("| {} | {:.0f} | {:.0f} (TLS {:.0f}, evidence {:.0f}, token {:.0f}) | {:.2f} |\n",
               protocol::tee_name(tee), found, least, bare.tls, evidence, bare.sign_token,
               found / least);
  }
  fmt::print("\nresource read, bare: {:.0f} us (token {:.0f}, reply's key {:.0f})\n",
             bare.verify_token + bare.encrypt_reply, bare.verify_token, bare.encrypt_reply);
  fmt::print("server, resident: {:.1f} MiB idle", idle);
  for (const auto& [tee, steps] : all) {
    fmt::print("; {:.1f} MiB with the guests of {} connected", steps.memory.resident,
               protocol::tee_name(tee));
  }
  fmt::print("\n");
}

void prepare(RunningKbs& kbs, const Vendors& vendors) {
  const auto values =
      kbs.admin("POST", "/kbs/v0/reference-value", vendors.reference_values().dump());
  const auto resource =
      kbs.admin("POST", "/kbs/v0/resource/" + std::string(kPath), std::string(kSecret));
  check(values.status == 200 && resource.status == 200, "the broker does not take its values");
}

int measure(const Options& options) {
  std::string folder = (fs::temp_directory_path() / "kbs_load-XXXXXX").string();
  check(::mkdtemp(folder.data()) != nullptr, "no temporary folder");
  const auto vendors = Vendors::make(folder);
  check(vendors.has_value(), vendors ? "" : vendors.error().to_string());
  std::string why;
  auto cluster = options.postgres != 0 ? testing::PostgresCluster::start(why) : std::nullopt;
  check(options.postgres == 0 || cluster.has_value(), why);
  const auto kbs =
      RunningKbs::start(vendors->config(), cluster ? cluster->new_database() : std::string());
  const double idle = memory_of(kbs->pid()).resident;
  prepare(*kbs, *vendors);
  const auto bare = measure_bare(*vendors);
  check(bare.has_value(), bare ? "" : bare.error().to_string());
  Load load(options, *vendors, *kbs);
  std::map<Tee, Steps> all;
  for (const Tee tee : options.tees) {
    Steps warm;
    load.round(tee, std::min(options.guests, 20), warm);
    for (int i = 0; i < options.rounds; ++i) load.round(tee, options.guests, all[tee]);
  }
  print_table(all, *bare, idle);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return 0;
}

bool read_options(int argc, char** argv, Options& out) {
  const std::map<std::string_view, std::pair<int*, int>> known = {
      {"--guests", {&out.guests, kMaxGuests}}, {"--rounds", {&out.rounds, kMaxRounds}},
      {"--reads", {&out.reads, kMaxRounds}},   {"--seconds", {&out.seconds, 86400}},
      {"--postgres", {&out.postgres, 1}},
  };
  for (int i = 1; i < argc; i += 2) {
    const auto at = known.find(argv[i]);
    if (i + 1 == argc) return false;
    const std::string_view text = argv[i + 1];
    if (argv[i] == std::string_view("--tee")) {
      out.tees = {text == "tdx" ? Tee::kTdx : Tee::kSnp};
      if (text != "tdx" && text != "snp") return false;
      continue;
    }
    if (at == known.end()) return false;
    auto& [target, most] = at->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *target);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    if (*target < 0 || *target > most) return false;
  }
  return out.guests > 0 && out.rounds > 0;
}

}  // namespace
}  // namespace coffer::bench

int main(int argc, char** argv) {
  coffer::bench::Options options;
  if (!coffer::bench::read_options(argc, argv, options)) {
    std::fputs(coffer::bench::kUsage, stderr);
    return 2;
  }
  coffer::bench::raise_file_limit();
  try {
    return coffer::bench::measure(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "kbs_load: {}\n", error.what());
    return 1;
  }
}
