// The guest's side, over fakes of the kernel's interfaces.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/fd.h"
#include "tee/tdx/device_linux.h"
#include "tee/tdx/qgs.h"
#include "tests/tee/tdx/vectors.h"

namespace coffer::tdx {
namespace {

using ::testing::HasSubstr;

TEST(TdReport, ParsesTheRealReport) {
  COFFER_NEED_VECTORS();
  const auto entry = index_entries("tdreport").front();
  const auto& want = entry["expected"];
  const Bytes bytes = vector_bytes(entry["file"]);
  const auto report = parse_td_report(bytes).value();
  EXPECT_EQ(to_hex(report.td.report_data), want["reportdata"].get<std::string>());
  EXPECT_EQ(to_hex(report.td.tee_tcb_svn), want["tee_tcb_svn"].get<std::string>());
  EXPECT_EQ(to_hex(report.td.td_attributes), want["td_attributes"].get<std::string>());
  EXPECT_EQ(to_hex(report.td.xfam), want["xfam"].get<std::string>());
  EXPECT_EQ(to_hex(report.td.mr_td), want["mrtd"].get<std::string>());
  EXPECT_EQ(to_hex(report.td.mr_config_id), want["mrconfigid"].get<std::string>());
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(to_hex(report.td.rtmr[i]), want["rtmr"][i].get<std::string>());
}

TEST(TdReport, RefusesPartsThatItsHashesDoNotCover) {
  COFFER_NEED_VECTORS();
  const Bytes good = vector_bytes("tdreport/tdreport_coco.bin");
  for (const std::size_t at : {32U, 80U, 256U, 494U, 512U, 1023U}) {
    Bytes bad = good;
    bad[at] ^= 1;
    EXPECT_FALSE(parse_td_report(bad)) << at;
  }
  EXPECT_FALSE(parse_td_report(BytesView(good).first(1023)));
  Bytes snp = good;
  snp[0] = 0;
  EXPECT_FALSE(parse_td_report(snp));
}

TEST(Qgs, AsksWithTheReportAndItsLengths) {
  const Bytes request = qgs_request(Bytes(1024, 7));
  ASSERT_EQ(request.size(), 4U + 16 + 8 + 1024);
  EXPECT_EQ(to_hex(BytesView(request).first(28)),
            "00000418"  // big-endian length of what follows
            "0100000000000000180400000000000000040000"
            "00000000");
  EXPECT_EQ(qgs_message_size(BytesView(request).first(4)).value(), request.size() - 4);
}

Bytes response(std::uint32_t error, const std::string& quote) {
  Bytes out;
  const auto put = [&](std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  put(1, 4);
  put(1, 4);
  put(24 + quote.size(), 4);
  put(error, 4);
  put(0, 4);
  put(quote.size(), 4);
  out.insert(out.end(), quote.begin(), quote.end());
  return out;
}

TEST(Qgs, ReadsTheQuoteAndRefusesTheRest) {
  EXPECT_EQ(as_text(qgs_response(response(0, "quote")).value()), "quote");
  EXPECT_EQ(qgs_response(response(0x12001, "quote")).error().code(), Code::kUnavailable);
  EXPECT_FALSE(qgs_response(response(0, "")));
  const Bytes good = response(0, "quote");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(qgs_response(BytesView(good).first(size))) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(qgs_response(longer));
  for (const std::size_t at : {0U, 4U, 16U, 20U}) {
    Bytes bad = good;
    bad[at] ^= 0x40;
    EXPECT_FALSE(qgs_response(bad)) << at;
  }
  EXPECT_FALSE(qgs_message_size(Bytes{0, 0, 0, 15}));
  EXPECT_TRUE(qgs_message_size(Bytes{0, 0, 0, 16}));
  EXPECT_FALSE(qgs_message_size(Bytes{0, 0x10, 0, 1}));
}

TEST(TdxDevice, MapsPcrsToRegistersAsUefiDoes) {
  const std::vector<unsigned> want = {3, 0, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2,
                                      2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3};
  for (unsigned pcr = 0; pcr < want.size(); ++pcr) EXPECT_EQ(rtmr_of_pcr(pcr), want[pcr]) << pcr;
}

// A root folder in which the kernel's files are plain ones.
class TdxDeviceTest : public ::testing::Test {
 protected:
  TdxDeviceTest() {
    std::string path = (std::filesystem::temp_directory_path() / "coffer-tdx-XXXXXX").string();
    root_ = mkdtemp(path.data());
    settings_ = DeviceSettings::below(root_);
    std::filesystem::create_directories(settings_.measurements);
  }
  ~TdxDeviceTest() override { std::filesystem::remove_all(root_); }

  std::filesystem::path root_;
  DeviceSettings settings_;
};

TEST_F(TdxDeviceTest, ExtendsTheRegistersOfSystemAndApplication) {
  const auto attester = make_attester(settings_);
  const Bytes digest(48, 0xab);
  for (const auto& [pcr, name] : std::map<unsigned, std::string>{{8, "rtmr2"}, {17, "rtmr3"}}) {
    const auto file = settings_.measurements / (name + ":sha384");
    EXPECT_EQ(attester->extend(pcr, digest).error().code(), Code::kUnimplemented);
    ASSERT_TRUE(write_file(file, ""));
    ASSERT_TRUE(attester->extend(pcr, digest));
    EXPECT_EQ(to_bytes(read_file(file).value()), digest);
  }
  EXPECT_EQ(attester->extend(1, digest).error().code(), Code::kPermissionDenied);
  EXPECT_EQ(attester->extend(17, Bytes(32)).error().code(), Code::kInvalidArgument);
}

TEST_F(TdxDeviceTest, ReadsMrConfigIdFromTheMeasurements) {
  ASSERT_TRUE(write_file(settings_.measurements / "mrconfigid", std::string(48, 'c')));
  EXPECT_EQ(as_text(make_attester(settings_)->host_bound_data().value()), std::string(48, 'c'));
}

TEST_F(TdxDeviceTest, SaysThatThisIsNoTd) {
  const auto evidence = make_attester(settings_)->evidence(Bytes(64));
  ASSERT_FALSE(evidence);
  EXPECT_EQ(evidence.error().code(), Code::kFailedPrecondition);
  EXPECT_THAT(evidence.error().to_string(), HasSubstr("is this a TD?"));
  EXPECT_EQ(make_attester(settings_)->evidence({}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(make_attester(settings_)->evidence(Bytes(65)).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace coffer::tdx
