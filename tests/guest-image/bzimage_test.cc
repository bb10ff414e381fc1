#include "guest-image/bzimage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/guest-image/bzimage_builder.h"

namespace coffer::guest_image {
namespace {

using ::testing::HasSubstr;

const std::string kKernel =
    "\x7f"
    "ELF and the rest";

TEST(BzImage, GivesTheKernelInsideIt) {
  const auto kernel = extract_kernel(as_bytes(make_bzimage(kKernel)));
  ASSERT_TRUE(kernel) << kernel.error().to_string();
  EXPECT_EQ(*kernel, kKernel);
}

TEST(BzImage, RefusesWhatIsNoKernel) {
  const auto kernel = extract_kernel(as_bytes(std::string(4096, 'x')));
  ASSERT_FALSE(kernel);
  EXPECT_THAT(kernel.error().to_string(), HasSubstr("boot protocol"));
}

TEST(BzImage, RefusesAPayloadThatIsNoElfFile) {
  const auto kernel = extract_kernel(as_bytes(make_bzimage("not a kernel")));
  ASSERT_FALSE(kernel);
  EXPECT_THAT(kernel.error().to_string(), HasSubstr("no ELF file"));
}

TEST(BzImage, RefusesEveryTruncation) {
  const auto whole = make_bzimage(kKernel);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(extract_kernel(as_bytes(std::string_view(whole).substr(0, size)))) << size;
  }
}

}  // namespace
}  // namespace coffer::guest_image
