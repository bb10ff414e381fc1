#include "shim/sandbox/phases.h"

#include <gtest/gtest.h>

namespace coffer::shim {
namespace {

using std::chrono::milliseconds;

TEST(Phases, EachMarkEndsTheStepThatBeganAtTheOneBefore) {
  const Phases::Clock::time_point zero{};
  Phases phases;
  phases.begin(zero);
  phases.mark("a", zero + milliseconds(3));
  phases.begin(zero + milliseconds(10));
  phases.mark("b", zero + milliseconds(12));
  phases.finish();
  phases.mark("c", zero + milliseconds(50));
  EXPECT_EQ(phases.to_json(), R"({"a_ms":3.0,"b_ms":2.0})");
}

TEST(Phases, HandsTheStartToTheServerAndDistrustsTheText) {
  const auto start = Phases::Clock::now();
  EXPECT_EQ(to_text(moment_of(to_text(start))), to_text(start));
  for (const char* text : {"", "x", "-1", "0", "12x", "99999999999999999999"}) {
    EXPECT_GE(moment_of(text), start) << text;
  }
}

}  // namespace
}  // namespace coffer::shim
