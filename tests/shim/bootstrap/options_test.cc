#include "shim/bootstrap/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace coffer::shim {
namespace {

using Words = std::vector<std::string_view>;

Result<ShimOptions> parse(const Words& words) { return parse_options(words); }

TEST(Options, ReadsWhatContainerdPasses) {
  const auto options =
      parse({"-namespace", "k8s.io", "-address", "/run/containerd/containerd.sock",
             "-publish-binary", "/usr/bin/containerd", "-id", "abc", "-debug", "start"});
  ASSERT_TRUE(options) << options.error().to_string();
  EXPECT_EQ(options->action, Action::kStart);
  EXPECT_EQ(options->containerd_namespace, "k8s.io");
  EXPECT_EQ(options->address, "/run/containerd/containerd.sock");
  EXPECT_EQ(options->publish_binary, "/usr/bin/containerd");
  EXPECT_EQ(options->id, "abc");
  EXPECT_TRUE(options->debug);
}

TEST(Options, TakesGoFlagForms) {
  const auto options = parse({"--namespace=n", "-id=x1", "-debug=false", "-bundle=/b", "delete"});
  ASSERT_TRUE(options) << options.error().to_string();
  EXPECT_EQ(options->action, Action::kDelete);
  EXPECT_EQ(options->bundle, "/b");
  EXPECT_FALSE(options->debug);
}

TEST(Options, DescribesALaunchWithoutAPod) {
  const auto options = parse({"-config", "/etc/c.toml", "launch"});
  ASSERT_TRUE(options) << options.error().to_string();
  EXPECT_EQ(options->action, Action::kLaunch);
  EXPECT_EQ(options->config, "/etc/c.toml");
}

TEST(Options, ServesWithoutAnAction) {
  const auto options = parse({"-namespace", "n", "-id", "i"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->action, Action::kServe);
}

TEST(Options, VersionAndInfoNeedNoIdentifiers) {
  EXPECT_EQ(parse({"-v"})->action, Action::kVersion);
  EXPECT_EQ(parse({"-version"})->action, Action::kVersion);
  EXPECT_EQ(parse({"-info"})->action, Action::kInfo);
}

TEST(Options, RefusesWhatItDoesNotKnow) {
  struct Case {
    Words words;
    std::string_view want;
  };
  const std::vector<Case> cases = {
      {{"-namespace", "n", "-id", "i", "-color"}, "'-color': no such flag"},
      {{"-namespace", "n", "-id"}, "'-id': needs a value"},
      {{"-namespace", "n", "-id", "i", "-debug=maybe"}, "want a boolean, got 'maybe'"},
      {{"-namespace", "n", "-id", "i", "stop"}, "action 'stop'"},
      {{"-namespace", "n", "start"}, "flag '-id' ''"},
      {{"-namespace", "n", "-id", "../x", "start"}, "flag '-id' '../x'"},
      {{"-namespace", "a/b", "-id", "x", "start"}, "flag '-namespace' 'a/b'"},
  };
  for (const Case& each : cases) {
    const auto options = parse(each.words);
    ASSERT_FALSE(options) << each.want;
    EXPECT_EQ(options.error().code(), Code::kInvalidArgument);
    EXPECT_NE(options.error().to_string().find(each.want), std::string::npos)
        << options.error().to_string();
  }
}

}  // namespace
}  // namespace coffer::shim
