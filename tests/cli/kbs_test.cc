#include "cli/kbs.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "cli/kbs_admin.h"
#include "tests/attestation/client/trustee.h"

namespace coffer::cli {
namespace {

using client::FakeBroker;
using client::Trustee;
using nlohmann::json;

struct Outcome {
  int exit = 0;
  std::string out, err;
};

Outcome run(const Command& command, std::vector<std::string> args) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.exit = command.run(args);
  std::fflush(stdout);
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

class Kbs : public testing::Test {
 protected:
  Kbs() {
    std::filesystem::create_directories(folder_);
    // Long ahead of the real clock that the command reads.
    trustee_.token_life = 100L * 365 * 24 * 3600;
  }
  ~Kbs() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string file(const std::string& name, std::string_view content) const {
    const auto path = folder_ / name;
    std::ofstream(path) << content;
    return path.string();
  }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / fmt::format("coffer-kbs-{}", ::getpid());
  Trustee trustee_;
};

TEST_F(Kbs, AttestPrintsTheTokenAndNothingElse) {
  FakeBroker broker(trustee_.handler());
  const auto outcome = run(kbs_attest(), {"--url", broker.url(), "--tee", "sample"});
  EXPECT_EQ(outcome.exit, kExitOk) << outcome.err;
  EXPECT_TRUE(jose::parse_jws(outcome.out.substr(0, outcome.out.size() - 1)));
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(json::parse(broker.seen()[1].body)["init-data"], json());
}

TEST_F(Kbs, AttestSaysInJsonWhatTheTokenClaims) {
  FakeBroker broker(trustee_.handler());
  const auto outcome = run(kbs_attest(), {"--url", broker.url(), "--tee", "sample", "--json",
                                          "--initdata", file("i.toml", "version = \"0.1.0\"\n")});
  ASSERT_EQ(outcome.exit, kExitOk) << outcome.err;
  const auto answer = json::parse(outcome.out);
  EXPECT_EQ(answer["tee"], "sample");
  EXPECT_EQ(answer["claims"]["iss"], "CoCo-Attestation-Service");
  EXPECT_EQ(json::parse(broker.seen()[1].body)["init-data"]["body"], "version = \"0.1.0\"\n");
}

TEST_F(Kbs, GetResourcePrintsBase64RawBytesOrAFile) {
  FakeBroker broker(trustee_.handler());
  const std::vector<std::string> base = {"--url",  broker.url(), "--tee",
                                         "sample", "--path",     "default/key/1"};
  const auto with = [&](std::vector<std::string> more) {
    auto args = base;
    args.insert(args.end(), more.begin(), more.end());
    return run(kbs_get_resource(), args);
  };
  EXPECT_EQ(with({}).out, "dGhlIHNlY3JldA==\n");
  EXPECT_EQ(with({"--raw"}).out, "the secret");
  const auto path = (folder_ / "secret").string();
  EXPECT_EQ(with({"--output", path}).out, "");
  EXPECT_EQ(read_file(path).value(), "the secret");
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(broker.seen()[2].line, "GET /kbs/v0/resource/default/key/1 HTTP/1.1");
}

TEST_F(Kbs, GetResourceUsesATokenThatIsThere) {
  FakeBroker broker(trustee_.handler());
  const auto key = jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto pem = file("key.pem", key->to_pem().value());
  const auto first =
      run(kbs_attest(), {"--url", broker.url(), "--tee", "sample", "--tee-key-file", pem});
  ASSERT_EQ(first.exit, kExitOk) << first.err;
  const auto second =
      run(kbs_get_resource(), {"--url", broker.url(), "--path", "kbs:///default/key/1",
                               "--tee-key-file", pem, "--attestation-token", file("t", first.out)});
  EXPECT_EQ(second.exit, kExitOk) << second.err;
  EXPECT_EQ(second.out, "dGhlIHNlY3JldA==\n");
  EXPECT_EQ(broker.seen().size(), 3U);
}

TEST_F(Kbs, ARefusalIsANegativeAnswerThatNamesItsCause) {
  trustee_.on_resource = [](const client::SeenRequest&) {
    return Trustee::error(403, "PolicyDeny", "Access denied by policy");
  };
  FakeBroker broker(trustee_.handler());
  const auto outcome = run(kbs_get_resource(),
                           {"--url", broker.url(), "--tee", "sample", "--path", "default/key/1"});
  EXPECT_EQ(outcome.exit, kExitNegative);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("403 PolicyDeny: Access denied by policy"), std::string::npos)
      << outcome.err;
}

TEST_F(Kbs, WhatAStrangerPutIntoARecordIsNotObeyedByTheAdministratorsTerminal) {
  FakeBroker broker([](const client::SeenRequest&) {
    return client::http_reply(200,
                              R"([{"id":"1","outcome":"refused","reason":"\u001b]0;x\u0007"}])");
  });
  const auto key = jose::PrivateKey::generate(jose::KeyType::kEd25519);
  const auto commands = kbs_admin_commands();
  const auto attestations = std::ranges::find(commands, "kbs attestations", &Command::name);
  ASSERT_NE(attestations, commands.end());
  const auto outcome = run(*attestations, {"--url", broker.url(), "--admin-key",
                                           file("admin.key", key->to_pem().value())});
  EXPECT_EQ(outcome.exit, kExitOk) << outcome.err;
  EXPECT_NE(outcome.out.find(R"(\x1b]0;x\x07)"), std::string::npos) << outcome.out;
}

TEST_F(Kbs, TlsTakesACertificateOrAPin) {
  const auto key = jose::PrivateKey::generate(jose::KeyType::kEcP256);
  FakeBroker broker(trustee_.handler(), *key);
  const auto certificate = file("kbs.crt", broker.certificate_pem());
  for (const char* option : {"--cert-file", "--tls-pin"}) {
    const auto outcome =
        run(kbs_attest(), {"--url", broker.url(), "--tee", "sample", option, certificate});
    EXPECT_EQ(outcome.exit, kExitOk) << option << outcome.err;
  }
  const auto other = run(kbs_attest(), {"--url", broker.url(), "--tee", "sample", "--tls-pin",
                                        "sha256:" + std::string(64, '0')});
  EXPECT_EQ(other.exit, kExitError);
  EXPECT_NE(other.err.find("not the pinned one"), std::string::npos) << other.err;
}

TEST_F(Kbs, WithoutATeeAutoSaysWhatToDo) {
  const auto outcome =
      run(kbs_attest(), {"--url", "http://127.0.0.1:1", "--root", folder_.string()});
  EXPECT_EQ(outcome.exit, kExitError);
  EXPECT_NE(outcome.err.find("none of SEV-SNP, TDX and TPM"), std::string::npos) << outcome.err;
}

TEST_F(Kbs, UsageErrorsNameTheOption) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--tee", "sgx"}, "got 'sgx'"},
      {{"--tee", "sample", "--key-type", "dsa"}, "--key-type"},
      {{"--tee", "sample", "--timeout", "0"}, "--timeout"},
      {{"--tee", "sample", "--attempts", "10"}, "--attempts"},
      {{"--tee", "sample", "--url", "broker"}, "want https://"},
      {{"--tee", "sample", "--cert-file", "/nonexistent"}, "/nonexistent"},
      {{"--tee", "sample", "--tls-pin", "/nonexistent"}, "/nonexistent"},
      {{"--tee", "sample", "a", "b"}, "one argument"},
  };
  for (const auto& [args, why] : cases) {
    const auto outcome = run(kbs_attest(), args);
    EXPECT_EQ(outcome.exit, kExitError);
    EXPECT_NE(outcome.err.find(why), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(run(kbs_get_resource(), {"--tee", "sample"}).exit, kExitError);
  EXPECT_EQ(run(kbs_get_resource(), {"--path", "a/b"}).exit, kExitError);
}

}  // namespace
}  // namespace coffer::cli
