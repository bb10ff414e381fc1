#include "base/toml.h"

#include <gtest/gtest.h>

#include <string>

namespace coffer {
namespace {

TEST(Toml, ParsesATable) {
  const auto table = parse_toml("[a]\nb = 7\n", "x.toml");
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ((*table)["a"]["b"].value<int>(), 7);
}

TEST(Toml, NamesFileAndLine) {
  const auto table = parse_toml("a = 1\nb = \n", "x.toml");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().message().substr(0, 9), "x.toml:2:");
}

// Each of these ends a process that uses toml++ 3.3 as it comes, or is undefined behaviour there.
TEST(Toml, SurvivesWhatBreaksThePreconditionsOfItsParser) {
  for (const std::string& text :
       {std::string("[\x1c"), std::string("[\x01x]\n"), std::string("[[\x02"),
        std::string("[a\u03ceb]\n"), std::string("a\u0418 = 1\n"), std::string("\u00e9")}) {
    const auto table = parse_toml(text, "x.toml");
    ASSERT_FALSE(table);
    EXPECT_EQ(table.error().code(), Code::kInvalidArgument);
    EXPECT_EQ(table.error().message().substr(0, 6), "x.toml");
  }
}

}  // namespace
}  // namespace coffer
