#include "base/percent.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

using namespace std::string_view_literals;

TEST(Percent, EscapesBecomeBytes) {
  EXPECT_EQ(*percent_decoded("", Plus::kIsItself), "");
  EXPECT_EQ(*percent_decoded("a%20b%2Fc%2fd", Plus::kIsItself), "a b/c/d");
  EXPECT_EQ(*percent_decoded("%00%ff", Plus::kIsItself), "\0\xff"sv);
  EXPECT_EQ(*percent_decoded("%2541", Plus::kIsItself), "%41");  // once, not again
}

TEST(Percent, APlusIsABlankInAFormOnly) {
  EXPECT_EQ(*percent_decoded("a+b%2Bc", Plus::kIsItself), "a+b+c");
  EXPECT_EQ(*percent_decoded("a+b%2Bc", Plus::kIsBlank), "a b+c");
}

TEST(Percent, RefusesWhatIsNoEscapeAndNamesIt) {
  for (const auto& [text, named] : {std::pair{"%", "%"},
                                    {"a%4", "%4"},
                                    {"a%zz", "%zz"},
                                    {"%4gx", "%4g"},
                                    {"%%41", "%%4"},
                                    {"% 41", "% 4"},
                                    {"%+4", "%+4"},
                                    {"%-1", "%-1"}}) {
    const auto decoded = percent_decoded(text, Plus::kIsBlank);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code(), Code::kInvalidArgument);
    EXPECT_EQ(decoded.error().message(), std::string("invalid URL escape \"") + named + "\"");
  }
}

}  // namespace
}  // namespace coffer
