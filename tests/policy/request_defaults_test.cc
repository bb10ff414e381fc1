#include "policy/agent/request_defaults.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/fd.h"
#include "policy/value/json.h"

namespace coffer::policy {
namespace {

std::string completed(std::string_view kind, std::string_view request) {
  const auto value = complete_request(kind, *parse_json(request, "test"));
  return value ? to_json(*value) : "!" + value.error().message();
}

TEST(RequestDefaults, FillsInWhatIsLeftOutAlsoInNestedMessages) {
  EXPECT_EQ(completed("UpdateInterfaceRequest", R"({"interface":{"name":"eth0","type_":"veth"}})"),
            R"({"interface":{"IPAddresses":[],"device":"","devicePath":"","hwAddr":"","mtu":0,)"
            R"("name":"eth0","raw_flags":0,"type_":"veth"}})");
  EXPECT_EQ(completed("CopyFileRequest", R"({"path":"/x","file_type":"Regular"})"),
            R"({"dir_mode":0,"file_mode":0,"file_size":0,"file_type":"Regular","gid":0,"offset":0,)"
            R"("path":"/x","symlink_target":null,"uid":0})");
}

TEST(RequestDefaults, KeepsKeysThatAreNoFieldOrNamesThem) {
  const Value request = *parse_json(R"({"interface":{"name":"a","pciPath":""},"x":1})", "test");
  EXPECT_NE(complete_request("UpdateInterfaceRequest", request)->find("x"), nullptr);
  std::vector<std::string> unknown;
  const auto typed = complete_request("UpdateInterfaceRequest", request, &unknown);
  EXPECT_EQ(typed->size(), 1U);
  EXPECT_EQ(unknown, (std::vector<std::string>{"interface.pciPath", "x"}));
}

// The vectors name a defaulted enumerator where the agent sends its number.
std::string with_numbers(std::string json) {
  constexpr std::string_view kNamed = R"("group_change_policy":"Always")";
  if (const std::size_t at = json.find(kNamed); at != std::string::npos)
    json.replace(at, kNamed.size(), R"("group_change_policy":0)");
  return json;
}

// genpolicy's cases leave most fields out; their recorded inputs are what Kata's agent makes of
// them.
TEST(RequestDefaults, CompletesGenpolicysCasesAsKatasAgentDoes) {
  const std::filesystem::path root =
      std::filesystem::path(COFFER_VECTORS) / "rego" / "kata-genpolicy";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << "no vectors: rego/kata-genpolicy";
  std::size_t seen = 0;
  for (const auto& folder : std::filesystem::directory_iterator(root)) {
    if (!folder.is_directory()) continue;
    SCOPED_TRACE(folder.path().filename().string());
    const Value cases = *parse_json(*read_file(folder.path() / "testcases.json"), "cases");
    const std::string lines = *read_file(folder.path() / "requests.jsonl");
    std::string_view rest = lines;
    for (const Value& one : cases.items()) {
      const std::size_t end = rest.find('\n');
      const Value recorded = *parse_json(rest.substr(0, end), "record");
      rest.remove_prefix(end + 1);
      std::vector<std::string> unknown;
      const auto input =
          complete_request(one.find("kind")->as_string(), *one.find("request"), &unknown);
      ASSERT_TRUE(input.has_value());
      EXPECT_EQ(to_json(*input), with_numbers(to_json(*recorded.find("input"))))
          << to_json(*one.find("description"));
      ++seen;
    }
  }
  EXPECT_GE(seen, 75U);
}

}  // namespace
}  // namespace coffer::policy
