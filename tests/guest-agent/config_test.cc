#include "guest-agent/config.h"

#include <gtest/gtest.h>

namespace coffer::agent {
namespace {

TEST(AgentConfig, RequiresAttestationWhenTold) {
  EXPECT_FALSE(parse_kernel_command_line("quiet")->attestation_required);
  EXPECT_TRUE(parse_kernel_command_line("agent.attestation_required=true")->attestation_required);
  EXPECT_FALSE(parse_kernel_command_line("agent.attestation_required=maybe"));
}

TEST(Config, ReadsItsWordsAndSkipsThoseOfOthers) {
  const auto config = parse_kernel_command_line(
      "console=ttyS0 agent.log=debug quiet agent.hotplug_timeout=7 agent.server_addr=vsock://-1:99 "
      "agent.debug_console agent.container_pipe_size=4096 agent.guest_components_procs=none\n");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_TRUE(config->logs_policy_requests());
  EXPECT_EQ(config->hotplug_timeout.count(), 7);
  EXPECT_EQ(config->server_addr, "vsock://-1:99");
  EXPECT_TRUE(config->debug_console);
  EXPECT_EQ(config->container_pipe_size, 4096U);
  EXPECT_EQ(config->guest_components_procs, "none");
  EXPECT_TRUE(config->warnings.empty());
}

TEST(Config, KeepsDefaultsForAnEmptyLine) {
  const auto config = parse_kernel_command_line("");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->log_level, "info");
  EXPECT_TRUE(config->server_addr.empty());
  EXPECT_EQ(config->hotplug_timeout.count(), 3);
}

struct Refused {
  const char* line;
  const char* names;  // what the message must name
};

class ConfigRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(ConfigRefuses, MalformedValuesByName) {
  const auto config = parse_kernel_command_line(GetParam().line);
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().to_string().find(GetParam().names), std::string::npos)
      << config.error().to_string();
}

INSTANTIATE_TEST_SUITE_P(
    Words, ConfigRefuses,
    ::testing::Values(Refused{"agent.log=loud", "agent.log"}, Refused{"agent.log", "needs a value"},
                      Refused{"agent.hotplug_timeout=soon", "agent.hotplug_timeout"},
                      Refused{"agent.hotplug_timeout=3s", "agent.hotplug_timeout"},
                      Refused{"agent.debug_console=maybe", "true or false"},
                      Refused{"agent.guest_components_procs=all", "attestation-agent"},
                      Refused{"agent.config_file=/etc/x.toml", "agent.config_file"}));

TEST(Config, WarnsOfUnknownWordsAndValuesOutOfRange) {
  const auto config = parse_kernel_command_line(
      "agent.hotplug_timeout=0 agent.no_such_thing=1 agent.container_pipe_size=-1");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->hotplug_timeout.count(), 3);
  ASSERT_EQ(config->warnings.size(), 3U);
  EXPECT_NE(config->warnings[0].find("agent.hotplug_timeout"), std::string::npos);
  EXPECT_NE(config->warnings[1].find("agent.no_such_thing"), std::string::npos);
}

}  // namespace
}  // namespace coffer::agent
