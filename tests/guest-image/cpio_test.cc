#include "guest-image/cpio.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

namespace coffer::guest_image {
namespace {

struct Member {
  std::string path, content;
  unsigned mode = 0;
  std::uint64_t uid = 0;
  std::int64_t mtime = 0;
  bool operator==(const Member&) const = default;
};

// An independent reader says what the archive holds.
std::vector<Member> read_back(const std::string& bytes) {
  const std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(),
                                                                      archive_read_free);
  archive_read_support_format_cpio(reader.get());
  EXPECT_EQ(archive_read_open_memory(reader.get(), bytes.data(), bytes.size()), ARCHIVE_OK);
  std::vector<Member> members;
  archive_entry* entry = nullptr;
  while (archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK) {
    Member member;
    member.path = archive_entry_pathname(entry);
    member.mode = archive_entry_mode(entry);
    member.uid = static_cast<std::uint64_t>(archive_entry_uid(entry));
    member.mtime = archive_entry_mtime(entry);
    member.content.resize(static_cast<std::size_t>(archive_entry_size(entry)));
    if (!member.content.empty()) {
      archive_read_data(reader.get(), member.content.data(), member.content.size());
    }
    if (const char* target = archive_entry_symlink(entry); target != nullptr) {
      member.content = target;
    }
    members.push_back(std::move(member));
  }
  return members;
}

TEST(Cpio, HoldsWhatWasAddedInOrderOfPath) {
  CpioTree tree;
  ASSERT_TRUE(tree.add_file("usr/bin/tool", "abc", 0755));
  ASSERT_TRUE(tree.add_symlink("bin", "usr/bin"));
  ASSERT_TRUE(tree.add_directory("tmp", 01777));
  const std::vector<Member> want = {{"bin", "usr/bin", S_IFLNK | 0777, 0, 7},
                                    {"tmp", "", S_IFDIR | 01777, 0, 7},
                                    {"usr", "", S_IFDIR | 0755, 0, 7},
                                    {"usr/bin", "", S_IFDIR | 0755, 0, 7},
                                    {"usr/bin/tool", "abc", S_IFREG | 0755, 0, 7}};
  EXPECT_EQ(read_back(tree.serialize(7)), want);
}

TEST(Cpio, DoesNotDependOnTheOrderOfAdding) {
  CpioTree one;
  CpioTree two;
  ASSERT_TRUE(one.add_file("a/b", "1", 0644));
  ASSERT_TRUE(one.add_file("a/c", "2", 0644));
  ASSERT_TRUE(two.add_file("a/c", "2", 0644));
  ASSERT_TRUE(two.add_file("a/b", "1", 0644));
  EXPECT_EQ(one.serialize(0), two.serialize(0));
}

TEST(Cpio, IsPaddedToWholeBlocks) {
  CpioTree tree;
  ASSERT_TRUE(tree.add_file("f", "xyz", 0644));
  EXPECT_EQ(tree.serialize(0).size() % 512, 0U);
}

TEST(Cpio, RefusesPathsThatLeaveTheRoot) {
  for (const char* path : {"", "/etc", "a//b", "../x", "a/../b", "./a", "a/"}) {
    CpioTree tree;
    const auto added = tree.add_file(path, "", 0644);
    ASSERT_FALSE(added) << path;
    EXPECT_EQ(added.error().code(), Code::kInvalidArgument) << path;
  }
}

TEST(Cpio, RefusesTheSameFileTwiceAndFilesBelowFiles) {
  CpioTree tree;
  ASSERT_TRUE(tree.add_file("a", "1", 0644));
  EXPECT_EQ(tree.add_file("a", "1", 0644).error().code(), Code::kAlreadyExists);
  EXPECT_EQ(tree.add_file("a/b", "1", 0644).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace coffer::guest_image
