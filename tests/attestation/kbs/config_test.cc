#include "attestation/kbs/config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "attestation/kbs/init.h"
#include "base/fd.h"

namespace coffer::kbs {
namespace {

constexpr std::string_view kTls =
    "[http_server]\ncertificate = \"c.pem\"\nprivate_key = \"k.pem\"\n";

TEST(KbsConfig, PathsStartFromTheFilesFolder) {
  const auto config = parse_config(std::string(kTls) + "[storage]\nstore = \"sqlite:x.db\"\n",
                                   "f.toml", "/etc/kbs");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->certificate, "/etc/kbs/c.pem");
  EXPECT_EQ(config->store, "sqlite:/etc/kbs/x.db");
  EXPECT_TRUE(config->admin_public_keys.empty());
  EXPECT_FALSE(config->allow_sample);
}

TEST(KbsConfig, TheDistributionsFileNamesEveryKeyWithItsDefault) {
  const auto text = read_file(COFFER_SOURCE_DIR "/configs/kbs/coffer-kbs.toml");
  ASSERT_TRUE(text);
  const auto config = parse_config(*text, "coffer-kbs.toml", "/");
  ASSERT_TRUE(config) << config.error().to_string();
  const Config defaults;
  EXPECT_EQ(config->sockets, defaults.sockets);
  EXPECT_EQ(config->payload_request_size, defaults.payload_request_size);
  EXPECT_EQ(config->worker_count, defaults.worker_count);
  EXPECT_EQ(config->handshake_timeout, defaults.handshake_timeout);
  EXPECT_EQ(config->header_timeout, defaults.header_timeout);
  EXPECT_EQ(config->request_timeout, defaults.request_timeout);
  EXPECT_EQ(config->idle_timeout, defaults.idle_timeout);
  EXPECT_EQ(config->max_connections, defaults.max_connections);
  EXPECT_EQ(config->max_connections_per_address, defaults.max_connections_per_address);
  EXPECT_EQ(config->body_memory, defaults.body_memory);
  EXPECT_EQ(config->record_limit, defaults.record_limit);
  EXPECT_EQ(config->session_limit, defaults.session_limit);
  EXPECT_EQ(config->token_lifetime, defaults.token_lifetime);
  EXPECT_EQ(config->challenge_lifetime, defaults.challenge_lifetime);
  EXPECT_EQ(config->record_days, defaults.record_days);
  EXPECT_EQ(config->issuer, defaults.issuer);
  EXPECT_EQ(config->policy_id, defaults.policy_id);
  EXPECT_EQ(config->snp_roots, defaults.snp_roots);
}

TEST(KbsConfig, RefusesWithFileLineAndKey) {
  struct Case {
    std::string text;
    std::string_view want;
  };
  const Case cases[] = {
      {"", "certificate and private_key are needed"},
      {"x = 1", "f.toml:1: 'x': want a section"},
      {"[http_server]\nport = 1", "f.toml:2: 'http_server.port': there is no such key"},
      {"[http_server]\nsockets = \"a\"", "want a list of texts"},
      {"[http_server]\nsockets = [1]", "want a list of texts"},
      {"[http_server]\ninsecure_http = 1", "want true or false"},
      {"[http_server]\nworker_count = 5000", "want 0 to 1024, got 5000"},
      {"[http_server]\nworker_count = 1.5", "want a whole number"},
      {"[http_server]\ninsecure_http = true\nsockets = []", "sockets is empty"},
      {std::string(kTls) + "insecure_http = true", "which of them"},
      {"[http_server]\ninsecure_http = true\n[log]\nlevel = \"loud\"", "loud"},
      {"[http_server]\ninsecure_http = true\nbody_memory = 4", "no body would fit"},
      {"[attestation_service]\nrecord_limit = 9", "want 10 to"},
      {"[http_server", "f.toml:1"},
  };
  for (const Case& c : cases) {
    const auto got = parse_config(c.text, "f.toml", "/");
    ASSERT_FALSE(got) << c.text;
    EXPECT_NE(got.error().to_string().find(c.want), std::string::npos) << c.text << "\n"
                                                                       << got.error().to_string();
  }
}

TEST(Init, AConfigurationWithADatabasesPasswordIsItsOwnersOnly) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(::testing::TempDir()) / "coffer-kbs-init-mode";
  for (const bool shared : {false, true}) {
    fs::remove_all(folder);
    ASSERT_TRUE(init({.folder = folder, .store = shared ? "postgresql://kbs:secret@db/kbs" : ""}));
    const auto others = fs::perms::group_all | fs::perms::others_all;
    const auto mode = fs::status(folder / "coffer-kbs.toml").permissions();
    EXPECT_EQ((mode & others) == fs::perms::none, shared);
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace coffer::kbs
