#include "cli/command.h"

#include <gtest/gtest.h>

namespace coffer::cli {
namespace {

class OptionsTest : public testing::Test {
 protected:
  Status parse(std::vector<std::string> args) {
    return Options("test", "help")
        .flag("--json,-j", &json_, "")
        .value("--report", &report_, "")
        .values("--certs,-c", &certs_, "")
        .positional(&rest_)
        .parse(args);
  }
  bool json_ = false;
  std::string report_;
  std::vector<std::string> certs_, rest_;
};

TEST_F(OptionsTest, TakesEveryForm) {
  ASSERT_TRUE(parse({"-j", "--report=a=b", "--certs", "x", "-c", "y", "p", "--", "--q"}));
  EXPECT_TRUE(json_);
  EXPECT_EQ(report_, "a=b");
  EXPECT_EQ(certs_, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(rest_, (std::vector<std::string>{"p", "--q"}));
}

TEST_F(OptionsTest, RefusesWithTheReasonAndAHint) {
  EXPECT_EQ(parse({"--reprot", "x"}).error().message(),
            "option '--reprot': unknown (did you mean '--report'?)");
  EXPECT_EQ(parse({"--report"}).error().message(), "option '--report': needs a value");
  EXPECT_EQ(parse({"--report", "a", "--report", "b"}).error().message(),
            "option '--report': given twice");
  EXPECT_EQ(parse({"--json=1"}).error().message(), "option '--json': takes no value");
}

TEST(Printable, LeavesATerminalNothingToObey) {
  EXPECT_EQ(printable("a\tb\nc \xc3\xa9 \xe2\x82\xac"), "a\tb\nc \xc3\xa9 \xe2\x82\xac");
  EXPECT_EQ(printable("\x1b]0;t\a"), "\\x1b]0;t\\x07");
  EXPECT_EQ(printable("over\rwritten\x7f"), "over\\x0dwritten\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\x9b2J");
  EXPECT_EQ(printable(std::string_view("\0\xc2", 2)), "\\x00\xc2");
}

TEST(Dispatch, PrefersTheLongerName) {
  std::string got;
  const std::vector<Command> commands = {
      {"policy", "", [&](Args) { return got = "policy", kExitOk; }},
      {"policy eval", "", [&](Args args) { return got = "eval " + args[0], kExitNegative; }}};
  const std::vector<std::string> args = {"policy", "eval", "x"};
  EXPECT_EQ(dispatch(commands, args), kExitNegative);
  EXPECT_EQ(got, "eval x");
  const std::vector<std::string> unknown = {"polic"};
  EXPECT_EQ(dispatch(commands, unknown), kExitError);
}

}  // namespace
}  // namespace coffer::cli
