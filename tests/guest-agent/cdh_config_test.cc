#include "guest-agent/attester/cdh_config.h"

#include <gtest/gtest.h>

#include "guest-agent/attester/broker_config.h"

namespace coffer::attester {
namespace {

TEST(CdhConfig, TakesWhatCoCosHubTakes) {
  const auto config = parse_cdh_config(R"(
skip_sealed_secret_verification = true
[kbc]
name = "cc_kbc"
url = "https://kbs"
kbs_cert = "PEM"
[[credentials]]
path = "/run/confidential-containers/cdh/kbs/a/token"
resource_uri = "kbs:///default/token/1"
[log]
level = "debug"
)");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->url, "https://kbs");
  EXPECT_EQ(config->cert, "PEM");
  EXPECT_TRUE(config->skip_sealed_secret_verification);
  ASSERT_EQ(config->credentials.size(), 1U);
  EXPECT_EQ(config->credentials[0].path, "/run/confidential-containers/cdh/kbs/a/token");
  EXPECT_EQ(config->credentials[0].resource.path, "default/token/1");
  EXPECT_TRUE(config->warnings.empty());
  const auto empty = parse_cdh_config("");
  ASSERT_TRUE(empty);
  EXPECT_FALSE(empty->skip_sealed_secret_verification);
}

TEST(CdhConfig, NamesWhatItDoesNotHeed) {
  const auto config = parse_cdh_config(R"(
socket = "unix:///run/other.sock"
colour = "red"
[kbc]
uri = "https://kbs"
[image]
image_security_policy_uri = "kbs:///default/policy/1"
)");
  ASSERT_TRUE(config) << config.error().to_string();
  const auto has = [&](std::string_view part) {
    for (const auto& warning : config->warnings)
      if (warning.find(part) != std::string::npos) return true;
    return false;
  };
  EXPECT_TRUE(has("'image.image_security_policy_uri': not yet"));
  EXPECT_TRUE(has("'colour': no such key"));
  EXPECT_TRUE(has("'kbc.uri': no such key"));
  EXPECT_TRUE(has("'socket'"));
  EXPECT_EQ(config->warnings.size(), 4U);
}

TEST(CdhConfig, RefusesWithTheKeysName) {
  const auto credential = [](std::string_view path, std::string_view uri) {
    return "[[credentials]]\npath = '" + std::string(path) + "'\nresource_uri = '" +
           std::string(uri) + "'\n";
  };
  const std::string good = "/run/confidential-containers/cdh/kbs/x";
  const std::pair<std::string, const char*> cases[] = {
      {"[", "cdh.toml"},
      {"kbc = 1", "'kbc'"},
      {"[kbc]\nurl = 1", "'kbc.url'"},
      {"[kbc]\nname = 'other'", "'kbc.name': want cc_kbc"},
      {"[kbc]\nname = 'offline_fs_kbc'", "offline_fs_kbc"},
      {"skip_sealed_secret_verification = 'yes'", "'skip_sealed_secret_verification'"},
      {"credentials = 1", "'credentials'"},
      {"credentials = [1]", "'credentials'"},
      {credential("/etc/passwd", "kbs:///a/b/c"), "'credentials.path'"},
      {credential("/run/confidential-containers/cdh/kbs/../x", "kbs:///a/b/c"),
       "'credentials.path'"},
      {credential("/run/confidential-containers/cdh/kbs/", "kbs:///a/b/c"), "'credentials.path'"},
      {credential(good, "/etc/shadow"), "'credentials.resource_uri'"},
  };
  for (const auto& [text, part] : cases) {
    const auto config = parse_cdh_config(text);
    ASSERT_FALSE(config) << text;
    EXPECT_NE(config.error().to_string().find(part), std::string::npos)
        << config.error().to_string();
  }
  EXPECT_EQ(parse_cdh_config("[kbc]\nname = 'offline_fs_kbc'").error().code(),
            Code::kUnimplemented);
  std::string many;
  for (int i = 0; i < 65; ++i) many += credential(good, "kbs:///a/b/c");
  EXPECT_FALSE(parse_cdh_config(many));
}

TEST(BrokerConfig, AsksTheHubsBrokerWhereItIsAnother) {
  const auto both = [](const char* aa, const char* cdh) {
    return parse_broker_config(aa == nullptr ? std::optional<std::string_view>() : aa,
                               cdh == nullptr ? std::optional<std::string_view>() : cdh)
        .value();
  };
  const char* aa = "[token_configs.kbs]\nurl = 'https://a'\ncert = 'A'";
  const auto other = both(aa, "[kbc]\nurl = 'https://b'\nkbs_cert = 'B'");
  EXPECT_EQ(other.aa.url, "https://a");
  EXPECT_EQ(other.cdh.url, "https://b");
  EXPECT_EQ(other.cdh.cert, "B");
  EXPECT_EQ(both(aa, "[kbc]\nurl = 'https://a/'").cdh.url, "");
  const auto alone = both(nullptr, "[kbc]\nurl = 'https://b'\nkbs_cert = 'B'");
  EXPECT_EQ(alone.aa.url, "https://b");
  EXPECT_EQ(alone.aa.cert, "B");
  EXPECT_EQ(alone.cdh.url, "");
  EXPECT_EQ(both(nullptr, nullptr).aa.url, "");
}

}  // namespace
}  // namespace coffer::attester
