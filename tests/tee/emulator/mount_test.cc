// End to end: the program mounts its tree, the attester of a real guest reads it without knowing,
// and a verifier believes what it got only when it is told to trust the emulator's root.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "tee/detect.h"
#include "tee/digest.h"
#include "tee/sev-snp/device_linux.h"
#include "tee/sev-snp/report.h"
#include "tee/sev-snp/verifier.h"
#include "tee/tdx/device_linux.h"
#include "tee/tdx/verify.h"
#include "tee/tsm_linux.h"
#include "tee/x509_bundle.h"

namespace coffer::emulator {
namespace {

namespace fs = std::filesystem;

std::string program() { return std::string(COFFER_BIN_DIR) + "/coffer-tee-emulator"; }

// A child with its stdout in a pipe.
class Child {
 public:
  explicit Child(std::vector<std::string> args) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    out_ = Fd(ends[0]);
    const Fd write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    std::vector<char*> argv;
    for (auto& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
    posix_spawn_file_actions_destroy(&actions);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) end();
  }
  // Up to its first line, or to its end.
  [[nodiscard]] std::string first_line() const {
    std::string line;
    for (char c = 0; ::read(out_.get(), &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  int end(int with_signal = SIGTERM) {
    if (with_signal != 0) kill(pid_, with_signal);
    int status = -1;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
  Fd out_;
};

class Mount : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "needs root and /dev/fuse";
    }
    std::string name = (fs::temp_directory_path() / "coffer-emulator-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(root());
  }
  void TearDown() override {
    child_.reset();
    if (folder_.empty()) return;
    umount2(root().c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  // What `make` makes, once a TEE: an RSA vendor takes seconds.
  static const fs::path& vendor(const std::string& tee) {
    struct Folder {
      explicit Folder(const std::string& of) {
        std::string name = (fs::temp_directory_path() / "coffer-vendor-XXXXXX").string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path = name;
        EXPECT_EQ(Child({program(), "make", of, "30", path.string()}).end(0), 0);
      }
      Folder(const Folder&) = delete;
      Folder& operator=(const Folder&) = delete;
      ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
      }
      fs::path path;
    };
    static std::map<std::string, Folder> folders;
    return folders.try_emplace(tee, tee).first->second.path;
  }

  // Mounts a guest of these values.
  void start(const std::string& tee, const nlohmann::json& launch) {
    fs::copy(vendor(tee), folder_, fs::copy_options::recursive);
    auto guest = *parse_json(*read_file(folder_ / "guest.json"), "guest");
    guest["launch"].update(launch);
    ASSERT_TRUE(write_file(folder_ / "guest.json", guest.dump()));
    child_ = std::make_unique<Child>(std::vector<std::string>{
        program(), "serve", (folder_ / "guest.json").string(), root().string()});
    ASSERT_EQ(child_->first_line(), "mounted");
  }
  [[nodiscard]] fs::path root() const { return folder_ / "root"; }
  [[nodiscard]] fs::path reports() const { return tee::DevicePaths::below(root()).tsm_report; }
  [[nodiscard]] Bytes file(const std::string& name) const {
    return to_bytes(*read_file(folder_ / name));
  }
  [[nodiscard]] std::vector<tee::Certificate> emulator_root() const {
    return tee::parse_x509_bundle(file("root.pem"), "root")->certificates;
  }
  static tee::UnixTime now() { return time(nullptr); }

  fs::path folder_;
  std::unique_ptr<Child> child_;
};

TEST_F(Mount, AnSnpReportVerifiesOnlyUnderTheEmulatorsRootAndIsMarked) {
  const std::string measurement(96, 'a'), host_data(64, 'b');
  start("snp", {{"measurement", measurement}, {"host_data", host_data}});
  EXPECT_EQ(*tee::detect_tee(tee::DevicePaths::below(root())), "snp");
  snp::LinuxAttester attester({.paths = tee::DevicePaths::below(root())});
  const auto evidence = attester.evidence(to_bytes("nonce"));
  ASSERT_TRUE(evidence) << evidence.error().to_string();
  EXPECT_EQ(to_hex(*attester.host_bound_data()), host_data);

  const auto crls = tee::parse_x509_bundle(file("crl.der"), "crl")->crls;
  snp::Expectations want;
  want.measurements = {*from_hex(measurement)};
  want.host_data = from_hex(host_data).value();
  want.require_crl = true;
  const auto judge = [&](std::vector<tee::Certificate> roots) {
    return snp::make_verifier({.certificates = {}, .crls = crls, .trusted_roots = std::move(roots)},
                              want)
        ->verify(*evidence, to_bytes("nonce"), now());
  };
  const auto verdict = judge(emulator_root());
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  EXPECT_TRUE(verdict.emulated());
  EXPECT_TRUE(verdict.to_table().contains("emulated"));

  const auto pinned = judge({});
  EXPECT_FALSE(pinned.verified()) << "AMD's pinned roots do not vouch for it";
  EXPECT_FALSE(pinned.find("chain.intermediate_signature")->ok);
}

TEST_F(Mount, ATdxQuoteVerifiesOnlyUnderTheEmulatorsRootAndIsMarked) {
  const std::string config_id(96, 'c');
  start("tdx", {{"mr_config_id", config_id}, {"mr_td", std::string(96, 'd')}});
  EXPECT_EQ(*tee::detect_tee(tee::DevicePaths::below(root())), "tdx");
  const auto attester = tdx::make_attester(tdx::DeviceSettings::below(root()));
  EXPECT_EQ(to_hex(*attester->host_bound_data()), config_id);
  // PCR 9 is RTMR2 of a TD.
  const Bytes digest(48, 0x42);
  ASSERT_TRUE(attester->extend(9, digest));
  EXPECT_FALSE(attester->extend(0, Bytes(47)));
  const auto evidence = attester->evidence(to_bytes("nonce"));
  ASSERT_TRUE(evidence) << evidence.error().to_string();

  const auto quote = tdx::parse_quote(evidence->report);
  ASSERT_TRUE(quote) << quote.error().to_string();
  Bytes both(48);
  both.resize(96, digest.front());
  EXPECT_EQ(quote->td.rtmr[2], tee::sha384(both));
  EXPECT_EQ(to_hex(quote->td.mr_td), std::string(96, 'd'));
  EXPECT_EQ(as_text(BytesView(quote->td.report_data).first(5)), "nonce");

  const auto judge = [&](std::vector<tee::Certificate> roots) {
    tdx::CollateralInput input{.tcb_info = *read_file(folder_ / "collateral/tcb_info.json"),
                               .qe_identity = *read_file(folder_ / "collateral/qe_identity.json"),
                               .tcb_signing_chain = file("collateral/tcb_signing_chain.pem"),
                               .root_ca_crl = file("collateral/root_ca_crl.der"),
                               .pck_crl = file("collateral/pck_crl.der"),
                               .pck_crl_issuer_chain = file("collateral/pck_crl_issuer_chain.pem")};
    const auto set = tdx::CollateralSet::prepare(
        std::move(input),
        roots.empty() ? tdx::TrustAnchors() : tdx::TrustAnchors(std::move(roots)));
    return tdx::verify({.quote = evidence->report, .event_log = {}}, set, {}, now());
  };
  const auto verdict = judge(emulator_root());
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  EXPECT_TRUE(verdict.emulated());
  EXPECT_FALSE(judge({}).verified()) << "Intel's pinned root does not vouch for it";
}

TEST_F(Mount, TheTreeHasTheKernelsErrors) {
  start("snp", nlohmann::json::object());
  const auto entry = reports() / "by-hand";
  ASSERT_TRUE(fs::create_directory(entry));
  EXPECT_EQ(*read_file(entry / "provider"), "sev_guest\n");
  EXPECT_EQ(*read_file(entry / "generation"), "0\n");
  const auto failed_with = [](const Result<std::string>& read, std::string_view text) {
    return !read && read.error().to_string().contains(text);
  };
  EXPECT_TRUE(failed_with(read_file(entry / "outblob"), "Invalid argument"));
  EXPECT_TRUE(write_file(entry / "inblob", std::string(64, 'x')));
  EXPECT_EQ(read_file(entry / "outblob")->size(), snp::kReportSize);
  EXPECT_EQ(*read_file(entry / "generation"), "1\n");
  EXPECT_FALSE(write_file(entry / "privlevel", "4"));
  EXPECT_FALSE(write_file(entry / "inblob", std::string(65, 'x')));
  std::error_code error;
  EXPECT_FALSE(fs::remove(entry / "inblob", error)) << "attributes cannot be removed";
  EXPECT_TRUE(fs::remove(entry, error)) << error.message();
}

TEST_F(Mount, EveryVmplCanBeAskedFor) {
  start("snp", nlohmann::json::object());
  for (unsigned level = 0; level <= 3; ++level) {
    snp::LinuxAttester attester({.paths = tee::DevicePaths::below(root()), .vmpl = level});
    const auto evidence = attester.evidence(Bytes(64, 1));
    ASSERT_TRUE(evidence) << evidence.error().to_string();
    EXPECT_EQ(snp::parse_report(evidence->report)->vmpl, level);
  }
}

TEST_F(Mount, UnmountsWhenItIsEnded) {
  start("snp", nlohmann::json::object());
  EXPECT_TRUE(fs::exists(reports()));
  EXPECT_EQ(child_->end(), 0);
  EXPECT_FALSE(fs::exists(reports()));
  EXPECT_TRUE(fs::is_empty(root()));
}

TEST(Program, SaysWhatItDoesNotUnderstand) {
  EXPECT_EQ(Child({program()}).end(0), 2);
  EXPECT_EQ(Child({program(), "make", "snp", "0", "/nowhere"}).end(0), 1);
  EXPECT_EQ(Child({program(), "make", "sgx", "1", "/nowhere"}).end(0), 1);
  EXPECT_EQ(Child({program(), "serve", "/nowhere", "/nowhere"}).end(0), 1);
}

}  // namespace
}  // namespace coffer::emulator
