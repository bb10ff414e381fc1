#include "guest-image/elf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/guest-image/elf_builder.h"

namespace coffer::guest_image {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Elf, TellsAProgramsLibrariesAndInterpreter) {
  const auto bytes = read_file("/proc/self/exe", std::size_t{512} << 20U);
  ASSERT_TRUE(bytes);
  const auto info = read_elf(as_bytes(*bytes), "self");
  ASSERT_TRUE(info) << info.error().to_string();
  EXPECT_THAT(info->needed, Contains("libc.so.6"));
  EXPECT_THAT(info->undefined, Contains("archive_read_next_header"));
  ASSERT_TRUE(info->interpreter);
  EXPECT_THAT(*info->interpreter, HasSubstr("ld-linux"));
}

TEST(Elf, TellsAModulesInformation) {
  const auto bytes = make_module(std::string_view("name=a\0\0depends=b,c\0", 21));
  const auto info = read_elf(as_bytes(bytes), "a.ko");
  ASSERT_TRUE(info) << info.error().to_string();
  EXPECT_THAT(info->modinfo, ElementsAre("name=a", "depends=b,c"));
}

TEST(Elf, RefusesWhatIsNoElfFile) {
  const auto info = read_elf(as_bytes("#!/bin/sh\necho this is no program\n"), "script");
  ASSERT_FALSE(info);
  EXPECT_THAT(info.error().to_string(), HasSubstr("'script': not a 64-bit little-endian ELF"));
}

// Every length of the file, and every byte of it changed: an answer or an error, never a crash.
TEST(Elf, SurvivesTruncationAndCorruption) {
  const auto good = make_module(std::string_view("depends=b\0", 10));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(read_elf(as_bytes(std::string_view(good).substr(0, size)), "cut")) << size;
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char value : {'\x00', '\x7f', '\xff'}) {
      auto bad = good;
      bad[at] = value;
      std::ignore = read_elf(as_bytes(bad), "corrupt");
    }
  }
}

}  // namespace
}  // namespace coffer::guest_image
