#include "guest-agent/files.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

class CopyFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "copy-XXXXXX";
    dir_ = ::mkdtemp(name.data());
    root_ = dir_ / "containers";
    fs::create_directories(root_);
    ASSERT_TRUE(write_file(dir_ / "secret", "untouched"));
    receiver_.emplace(root_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  grpc::CopyFileRequest file(const std::string& path, const std::string& data,
                             std::int64_t size = -1, std::int64_t offset = 0) {
    grpc::CopyFileRequest request;
    request.set_path(path.starts_with('/') ? path : (root_ / path).string());
    request.set_file_mode(S_IFREG | 0640);
    request.set_dir_mode(0750);
    request.set_uid(static_cast<std::int32_t>(::geteuid()));
    request.set_gid(static_cast<std::int32_t>(::getegid()));
    request.set_file_size(size < 0 ? static_cast<std::int64_t>(data.size()) : size);
    request.set_offset(offset);
    request.set_data(data);
    return request;
  }
  grpc::CopyFileRequest link(const std::string& path, const std::string& target) {
    auto request = file(path, target, 0);
    request.set_file_mode(S_IFLNK | 0777);
    return request;
  }
  std::string content(const std::string& path) {
    return read_file(root_ / path).value_or("(none)");
  }
  Code refusal(const grpc::CopyFileRequest& request) {
    const auto status = receiver_->receive(request);
    return status ? Code::kOk : status.error().code();
  }

  fs::path dir_, root_;
  std::optional<FileReceiver> receiver_;
};

TEST_F(CopyFile, WritesAFileWithItsModeAndParents) {
  ASSERT_TRUE(receiver_->receive(file("c1/etc/hosts", "127.0.0.1 x\n")));
  EXPECT_EQ(content("c1/etc/hosts"), "127.0.0.1 x\n");
  struct stat info{};
  ASSERT_EQ(::stat((root_ / "c1/etc/hosts").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640U);
  ASSERT_TRUE(receiver_->receive(file("empty", "")));
  EXPECT_EQ(content("empty"), "");
}

TEST_F(CopyFile, AppearsWithItsLastChunkOnly) {
  ASSERT_TRUE(receiver_->receive(file("f", "one ", 11, 0)));
  EXPECT_EQ(content("f"), "(none)");
  ASSERT_TRUE(receiver_->receive(file("f", "two ", 11, 4)));
  EXPECT_EQ(refusal(file("f", "xxx", 11, 9)), Code::kInvalidArgument) << "a gap";
  ASSERT_TRUE(receiver_->receive(file("f", "333", 11, 8)));
  EXPECT_EQ(content("f"), "one two 333");
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), 1)
      << "no temporary file stays";
}

TEST_F(CopyFile, KeepsFilesThatDifferInTheirExtensionApart) {
  ASSERT_TRUE(receiver_->receive(file("tls.key", "kk", 4, 0)));
  ASSERT_TRUE(receiver_->receive(file("tls.crt", "cc", 4, 0)));
  ASSERT_TRUE(receiver_->receive(file("tls.key", "KK", 4, 2)));
  ASSERT_TRUE(receiver_->receive(file("tls.crt", "CC", 4, 2)));
  EXPECT_EQ(content("tls.key"), "kkKK");
  EXPECT_EQ(content("tls.crt"), "ccCC");
}

TEST_F(CopyFile, ReplacesWhatStandsThereWhateverItIs) {
  ASSERT_TRUE(receiver_->receive(file("x/inner", "1")));
  ASSERT_TRUE(receiver_->receive(file("x", "a file now")));
  EXPECT_EQ(content("x"), "a file now");
  ASSERT_TRUE(receiver_->receive(link("x", "elsewhere")));
  EXPECT_EQ(fs::read_symlink(root_ / "x"), "elsewhere");
  auto directory = file("x", "");
  directory.set_file_mode(S_IFDIR | 0711);
  ASSERT_TRUE(receiver_->receive(directory));
  EXPECT_TRUE(fs::is_directory(root_ / "x"));
}

TEST_F(CopyFile, DoesNotLeaveItsRootByDotDot) {
  EXPECT_EQ(refusal(file((root_ / "../secret").string(), "gone")), Code::kInvalidArgument);
  EXPECT_EQ(refusal(file("a/../../secret", "gone")), Code::kInvalidArgument);
  EXPECT_EQ(refusal(file((dir_ / "secret").string(), "gone")), Code::kInvalidArgument);
  EXPECT_EQ(refusal(file(root_.string() + "-sibling/x", "gone")), Code::kInvalidArgument);
  EXPECT_EQ(refusal(file("", "gone")), Code::kInvalidArgument);
  EXPECT_EQ(refusal(file("dir/", "gone")), Code::kInvalidArgument);
  EXPECT_EQ(read_file(dir_ / "secret").value_or(""), "untouched");
}

TEST_F(CopyFile, DoesNotLeaveItsRootByALinkOfItsOwnMaking) {
  ASSERT_TRUE(receiver_->receive(link("out", dir_.string())));
  ASSERT_TRUE(receiver_->receive(link("up", "../..")));
  // Both resolve, with the root as "/": nothing outside is touched.
  std::ignore = receiver_->receive(file("out/secret", "gone"));
  std::ignore = receiver_->receive(file("up/secret", "gone"));
  EXPECT_EQ(read_file(dir_ / "secret").value_or(""), "untouched");
  // A link as the last component is replaced, not written through.
  ASSERT_TRUE(receiver_->receive(link("final", (dir_ / "secret").string())));
  ASSERT_TRUE(receiver_->receive(file("final", "mine")));
  EXPECT_EQ(content("final"), "mine");
  EXPECT_EQ(read_file(dir_ / "secret").value_or(""), "untouched");
}

TEST_F(CopyFile, WritesThroughNoLinkThatStaysInside) {
  ASSERT_TRUE(receiver_->receive(file("other/config", "theirs")));
  ASSERT_TRUE(receiver_->receive(link("mine", "other")));
  // ENOTDIR.
  EXPECT_FALSE(receiver_->receive(file("mine/config", "ours")));
  EXPECT_FALSE(receiver_->receive(file("mine/sub/config", "ours")));
  EXPECT_EQ(content("other/config"), "theirs");
  EXPECT_FALSE(fs::exists(root_ / "other/sub"));
}

TEST_F(CopyFile, RefusesSizesThatDoNotAddUp) {
  EXPECT_EQ(refusal(file("f", "abc", 2)), Code::kInvalidArgument);
  auto negative = file("f", "");
  negative.set_file_size(-1);
  EXPECT_EQ(refusal(negative), Code::kInvalidArgument);
  auto before = file("f", "x");
  before.set_offset(-1);
  EXPECT_EQ(refusal(before), Code::kInvalidArgument);
  EXPECT_EQ(refusal(file("f", "x", FileReceiver::kMaxFile + 1)), Code::kResourceExhausted);
  EXPECT_EQ(refusal(file("g", "x", 2, 1)), Code::kInvalidArgument) << "never begun";
}

TEST_F(CopyFile, RefusesOtherKinds) {
  for (const int kind : {S_IFSOCK, S_IFBLK, S_IFCHR, S_IFIFO}) {
    auto request = file("f", "x");
    request.set_file_mode(static_cast<unsigned>(kind) | 0644U);
    EXPECT_EQ(refusal(request), Code::kInvalidArgument) << kind;
  }
  EXPECT_EQ(refusal(link("l", "")), Code::kInvalidArgument);
  EXPECT_EQ(refusal(link("l", std::string(5000, 'x'))), Code::kInvalidArgument);
}

TEST_F(CopyFile, BoundsUnfinishedFiles) {
  for (std::size_t i = 0; i < FileReceiver::kMaxUnfinished; ++i)
    ASSERT_TRUE(receiver_->receive(file("f" + std::to_string(i), "x", 2)));
  EXPECT_EQ(refusal(file("one-more", "x", 2)), Code::kResourceExhausted);
  ASSERT_TRUE(receiver_->receive(file("f0", "y", 2, 1)));
  EXPECT_TRUE(receiver_->receive(file("one-more", "x", 2)));
}

}  // namespace
}  // namespace coffer::agent
