#include "tee/utc_time.h"

#include <gtest/gtest.h>

namespace coffer::tee {
namespace {

TEST(UtcTime, ReadsRfc3339) {
  EXPECT_EQ(*parse_rfc3339("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(*parse_rfc3339("2026-01-15T00:00:00Z"), 1768435200);
  EXPECT_EQ(*parse_rfc3339("2026-01-15T00:00:00.123456Z"), 1768435200);
  EXPECT_EQ(*parse_rfc3339("2026-01-15T01:00:00+01:00"), 1768435200);
  EXPECT_EQ(*parse_rfc3339("1969-12-31T23:59:59Z"), -1);
}

TEST(UtcTime, RefusesOtherText) {
  for (const auto* text :
       {"", "2026-01-15", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-15T24:00:00Z",
        "2026-01-15T00:00:00", "2026-01-15T00:00:00.Z", "2026-01-15T00:00:00Zx",
        "2026-01-15T00:00:00+1:00", "2O26-01-15T00:00:00Z", "2026-01-15 00:00:00Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(UtcTime, FormatsWhatItReads) {
  for (const auto* text :
       {"1970-01-01T00:00:00Z", "2026-01-15T12:34:56Z", "2045-10-22T17:23:05Z"}) {
    EXPECT_EQ(format_rfc3339(*parse_rfc3339(text)), text);
  }
  EXPECT_EQ(format_rfc3339(253402300799), "9999-12-31T23:59:59Z");
  EXPECT_EQ(format_rfc3339(253402300800), "@253402300800");
}

}  // namespace
}  // namespace coffer::tee
