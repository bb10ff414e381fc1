#include "base/fd.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/secret.h"

namespace coffer {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() { std::filesystem::create_directories(root_); }
  ~FileTest() override { std::filesystem::remove_all(root_); }
  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("coffer-fd-" + std::to_string(::getpid()));
};

TEST_F(FileTest, AtomicWriteReplacesAndLeavesNoTemp) {
  ASSERT_TRUE(write_file(root_ / "a", "old"));
  ASSERT_TRUE(write_file_atomic(root_ / "a", "new"));
  EXPECT_EQ(read_file(root_ / "a"), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root_), {}), 1);
}

TEST_F(FileTest, ReadHoldsItsLimitExactly) {
  ASSERT_TRUE(write_file(root_ / "a", "12345"));
  EXPECT_EQ(read_file(root_ / "a", 5), "12345");
  EXPECT_EQ(read_file(root_ / "a", 4).error().code(), Code::kResourceExhausted);
}

TEST_F(FileTest, ErrorsNameThePath) {
  EXPECT_EQ(read_file("/nonexistent/x").error().message(),
            "open '/nonexistent/x': No such file or directory");
}

TEST(Fd, MovesAndCloses) {
  int raw = ::dup(0);
  {
    Fd a(raw);
    Fd b = std::move(a);
    EXPECT_EQ(b.get(), raw);
  }
  EXPECT_EQ(::close(raw), -1);
}

TEST(Secret, IsEmptyAfterAMove) {
  SecretBytes a(Bytes{1, 2, 3});
  const SecretBytes b = std::move(a);
  EXPECT_EQ(b.size(), 3U);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): the state after a move is the test
}

}  // namespace
}  // namespace coffer
