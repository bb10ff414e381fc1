// The tree behaves as the kernel's: same names, same permissions, same errors, same generations.
#include "tee/emulator/kernel_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace coffer::emulator {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kReports = "/sys/kernel/config/tsm/report";
constexpr std::string_view kMeasurements = "/sys/devices/virtual/misc/tdx_guest/measurements";

// Answers with what it was asked, so that a test sees it; counts how often.
class EchoGuest final : public Guest {
 public:
  explicit EchoGuest(int* asked, bool tdx) : asked_(asked), tdx_(tdx) {}
  std::string_view provider() const override { return tdx_ ? "tdx_guest" : "sev_guest"; }
  bool has_privilege_levels() const override { return !tdx_; }
  bool has_auxblob() const override { return !tdx_; }
  OrErrno<TsmAnswer> report(BytesView inblob, unsigned level) override {
    ++*asked_;
    if (inblob.size() != 64) return std::unexpected(EINVAL);
    Bytes out(inblob.begin(), inblob.end());
    out.push_back(static_cast<std::uint8_t>(level));
    return TsmAnswer{.outblob = std::move(out), .auxblob = to_bytes("aux")};
  }
  std::vector<MeasurementFile> measurements() const override {
    if (!tdx_) return {};
    return {{.name = "rtmr0:sha384"}, {.name = "rtmr2:sha384", .extendable = true}};
  }
  OrErrno<Bytes> measurement(std::string_view) const override { return value_; }
  OrErrno<void> extend(std::string_view, BytesView digest) override {
    if (digest.size() != 48) return std::unexpected(EINVAL);
    value_.assign(digest.begin(), digest.end());
    return {};
  }

 private:
  int* asked_;
  bool tdx_;
  Bytes value_ = Bytes(48, 1);
};

class Tree : public testing::Test {
 protected:
  explicit Tree(bool tdx = false) : tree_(std::make_unique<EchoGuest>(&asked_, tdx)) {
    EXPECT_TRUE(tree_.make_directory(path("")));
  }
  static std::string path(std::string_view attribute) {
    std::string out = std::string(kReports) + "/a";
    if (!attribute.empty()) out += "/" + std::string(attribute);
    return out;
  }
  // A whole file; the errno when it cannot be read.
  OrErrno<std::string> read(const std::string& file) {
    const auto handle = tree_.open(file, Access::kRead);
    if (!handle) return std::unexpected(handle.error());
    const auto bytes = tree_.read(*handle, 0, 4096);
    tree_.release(*handle);
    if (!bytes) return std::unexpected(bytes.error());
    return std::string(as_text(*bytes));
  }
  int write(const std::string& file, std::string_view text) {
    const auto handle = tree_.open(file, Access::kWrite);
    if (!handle) return handle.error();
    const auto written = tree_.write(*handle, 0, as_bytes(text));
    tree_.flush(*handle);
    tree_.release(*handle);
    return written ? 0 : written.error();
  }

  int asked_ = 0;
  KernelTree tree_;
};

class TdxTree : public Tree {
 protected:
  TdxTree() : Tree(true) {}
};

TEST_F(Tree, ARequestHasTheProvidersAttributes) {
  EXPECT_THAT(*tree_.list(path("")), ElementsAre("auxblob", "generation", "inblob", "outblob",
                                                 "privlevel", "privlevel_floor", "provider"));
  EXPECT_EQ(tree_.info(path("inblob"))->mode, 0200U);
  EXPECT_EQ(tree_.info(path("outblob"))->mode, 0444U);
  EXPECT_EQ(*read(path("provider")), "sev_guest\n");
  EXPECT_EQ(*read(path("privlevel_floor")), "0\n");
  EXPECT_EQ(tree_.open(path("inblob"), Access::kRead).error(), EACCES);
  EXPECT_EQ(tree_.open(path("outblob"), Access::kWrite).error(), EACCES);
  EXPECT_EQ(tree_.open(path("manifestblob"), Access::kRead).error(), ENOENT);
}

TEST_F(TdxTree, HasNoPrivilegeLevelsAndNoAuxblob) {
  EXPECT_THAT(*tree_.list(path("")), ElementsAre("generation", "inblob", "outblob", "provider"));
}

TEST_F(Tree, EveryWriteRaisesTheGeneration) {
  EXPECT_EQ(*read(path("generation")), "0\n");
  EXPECT_EQ(write(path("privlevel"), "2"), 0);
  EXPECT_EQ(*read(path("generation")), "1\n");
  EXPECT_EQ(write(path("inblob"), std::string(64, 'x')), 0);
  EXPECT_EQ(*read(path("generation")), "2\n");
  EXPECT_EQ(*read(path("outblob")), std::string(64, 'x') + '\2');
  EXPECT_EQ(*read(path("generation")), "2\n") << "reading is no write";
}

TEST_F(Tree, AReportIsMadeOnceForEachGeneration) {
  ASSERT_EQ(write(path("inblob"), std::string(64, 'x')), 0);
  EXPECT_TRUE(read(path("outblob")) && read(path("auxblob")) && read(path("outblob")));
  EXPECT_EQ(asked_, 1);
  ASSERT_EQ(write(path("privlevel"), "1\n"), 0);
  EXPECT_EQ(*read(path("outblob")), std::string(64, 'x') + '\1');
  EXPECT_EQ(asked_, 2);
}

TEST_F(Tree, AReportWithoutOrWithAnotherInblobIsEinval) {
  EXPECT_EQ(read(path("outblob")).error(), EINVAL);
  EXPECT_EQ(asked_, 0) << "nothing to ask with";
  EXPECT_EQ(write(path("inblob"), "short"), 0) << "the kernel takes it, and the provider does not";
  EXPECT_EQ(read(path("outblob")).error(), EINVAL);
  EXPECT_EQ(write(path("inblob"), std::string(65, 'x')), EFBIG);
}

TEST_F(Tree, ABinaryAttributeIsTakenWhenItIsClosed) {
  const auto handle = *tree_.open(path("inblob"), Access::kWrite);
  EXPECT_TRUE(tree_.write(handle, 0, Bytes(32, 1)));
  EXPECT_TRUE(tree_.write(handle, 32, Bytes(32, 2)));
  EXPECT_EQ(*read(path("generation")), "0\n");
  tree_.flush(handle);
  tree_.flush(handle);
  EXPECT_EQ(*read(path("generation")), "1\n") << "of two copies of a descriptor the first counts";
  const std::string whole = std::string(32, '\1') + std::string(32, '\2');
  EXPECT_EQ(read(path("outblob"))->substr(0, 64), whole);
}

TEST_F(Tree, PrivilegeLevelsAreNumbersUpToThree) {
  for (const auto* good : {"0", "3", "3\n"}) EXPECT_EQ(write(path("privlevel"), good), 0) << good;
  for (const auto* bad : {"", "4", "-1", "x", "1 ", "4294967296"}) {
    EXPECT_EQ(write(path("privlevel"), bad), EINVAL) << bad;
  }
}

TEST_F(Tree, DirectoriesAreMadeBelowReportOnly) {
  EXPECT_EQ(tree_.make_directory(path("")).error(), EEXIST);
  EXPECT_EQ(tree_.make_directory(path("deeper")).error(), EPERM);
  EXPECT_EQ(tree_.make_directory("/x").error(), EPERM);
  EXPECT_EQ(tree_.remove_directory(kReports).error(), EPERM);
  EXPECT_EQ(tree_.remove_directory(path("inblob")).error(), ENOTDIR);
  EXPECT_TRUE(tree_.remove_directory(path("")));
  EXPECT_EQ(tree_.info(path("inblob")).error(), ENOENT);
  EXPECT_EQ(tree_.remove_directory(path("")).error(), ENOENT);
}

TEST_F(Tree, ManyRequestsAreBoundedAndApart) {
  EXPECT_TRUE(tree_.make_directory(std::string(kReports) + "/b"));
  EXPECT_EQ(write(path("privlevel"), "1"), 0);
  EXPECT_EQ(*read(std::string(kReports) + "/b/generation"), "0\n");
  int made = 2;
  while (tree_.make_directory(std::string(kReports) + "/n" + std::to_string(made))) ++made;
  EXPECT_EQ(made, 1024);
}

TEST_F(Tree, AnOpenFileOutlivesItsDirectory) {
  const auto handle = *tree_.open(path("provider"), Access::kRead);
  EXPECT_TRUE(tree_.remove_directory(path("")));
  EXPECT_EQ(as_text(*tree_.read(handle, 0, 64)), "sev_guest\n");
}

TEST_F(Tree, FoldersOnTheWayAreListed) {
  EXPECT_THAT(*tree_.list("/"), ElementsAre("sys"));
  EXPECT_THAT(*tree_.list("/sys"), ElementsAre("kernel"));
  EXPECT_THAT(*tree_.list("/sys/kernel/config/tsm"), ElementsAre("report"));
  EXPECT_THAT(*tree_.list(kReports), ElementsAre("a"));
  EXPECT_EQ(tree_.info("/sys/kern").error(), ENOENT);
  EXPECT_EQ(tree_.info(kMeasurements).error(), ENOENT) << "SNP has no such registers";
}

TEST_F(TdxTree, RegistersAreReadAndExtended) {
  EXPECT_THAT(*tree_.list("/sys"), ElementsAre("devices", "kernel"));
  EXPECT_THAT(*tree_.list(kMeasurements), ElementsAre("rtmr0:sha384", "rtmr2:sha384"));
  const std::string writable = std::string(kMeasurements) + "/rtmr2:sha384";
  EXPECT_EQ(*read(writable), std::string(48, '\1'));
  EXPECT_EQ(write(writable, std::string(48, '\7')), 0);
  EXPECT_EQ(*read(writable), std::string(48, '\7'));
  EXPECT_EQ(write(writable, "short"), EINVAL);
  EXPECT_EQ(write(std::string(kMeasurements) + "/rtmr0:sha384", std::string(48, '\7')), EACCES);
}

}  // namespace
}  // namespace coffer::emulator
