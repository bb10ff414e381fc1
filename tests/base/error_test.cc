#include "base/error.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(Error, PrintsTheChainOutermostFirst) {
  Error error = errno_error(ENOENT, "open 'a'");
  error.add_context("load policy").add_context("start agent");
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.to_string(), "start agent: load policy: open 'a': No such file or directory");
}

Result<int> doubled(Result<int> in) {
  COFFER_TRY(const int value, in);
  return value * 2;
}

TEST(Error, TryUnwrapsOrReturns) {
  EXPECT_EQ(doubled(4), 8);
  EXPECT_EQ(doubled(fail(Code::kAborted, "x")).error().code(), Code::kAborted);
}

TEST(Error, ChecksAbortOnOurBugs) {
  EXPECT_DEATH(check(false, "cannot happen"), "bug: cannot happen");
}

}  // namespace
}  // namespace coffer
