#include "cli/image_values.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "attestation/reference_values/message.h"
#include "base/fd.h"
#include "cli/measure_tdx.h"
#include "cli/measure_tpm.h"
#include "tests/tee/eventlog/pe_builder.h"

namespace coffer::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const fs::path kSnp = COFFER_VECTORS "/snp/measurement";

// With the header that QEMU writes into: boot protocol 2.15, loaded high.
Bytes make_kernel() {
  Bytes kernel = eventlog::make_pe();
  std::ranges::copy(as_bytes("HdrS"), kernel.begin() + 0x202);
  kernel[0x206] = 15;
  kernel[0x207] = 2;
  kernel[0x211] = 1;
  std::fill_n(kernel.begin() + 0x22c, 4, std::uint8_t{0x7f});
  return kernel;
}

class ImageValues : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (fs::temp_directory_path() / "coffer-values-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    ASSERT_TRUE(write_file(folder_ / "vmlinuz", as_text(make_kernel())));
    ASSERT_TRUE(write_file(folder_ / "pods.img", "initrd"));
    image_ = {.kernel = folder_ / "vmlinuz", .initrd = folder_ / "pods.img", .source = "image 7"};
  }
  void TearDown() override { fs::remove_all(folder_); }
  // By name, of both files, which agree.
  std::map<std::string, Json> write() {
    const auto files = write_image_values(measure_, image_);
    EXPECT_TRUE(files) << files.error().to_string();
    if (!files) return {};
    EXPECT_EQ(*files, (std::vector{folder_ / "pods.values.json", folder_ / "pods.values.corim"}));
    const auto json = read(folder_ / "pods.values.json", "image 7");
    EXPECT_EQ(json, read(folder_ / "pods.values.corim", "corim 7"));
    return json;
  }
  static std::map<std::string, Json> read(const fs::path& file, const std::string& source) {
    const auto text = read_file(file);
    const auto values =
        rv::parse_message(as_bytes(*text), {.now = ::time(nullptr), .registrar = "r"});
    EXPECT_TRUE(values) << values.error().to_string();
    std::map<std::string, Json> out;
    if (!values) return out;
    for (const auto& value : *values) {
      EXPECT_EQ(value.provenance.source, source);
      out[value.name] = Json::parse(value.value);
    }
    return out;
  }

  fs::path folder_;
  MeasuredImage image_;
  ImageMeasure measure_ = {.corim = {.id = "corim 7", .key_file = {}}};
};

TEST_F(ImageValues, AreWhatMeasuringTheFilesGives) {
  measure_.tpm_memory = "2G";
  measure_.append = "console=ttyS0";
  const auto values = write();
  const Json want = tpm_reference_values({.kernel = image_.kernel,
                                          .initrd = image_.initrd,
                                          .append = "console=ttyS0",
                                          .memory = "2G",
                                          .reference = {}})
                        .value();
  EXPECT_EQ(Json(values), want);
  EXPECT_EQ(values.size(), 2U);
  measure_.append = "console=ttyS1";
  const auto other = write();
  EXPECT_EQ(other.at("tpm_pcr04"), values.at("tpm_pcr04"));
  EXPECT_NE(other.at("tpm_pcr09"), values.at("tpm_pcr09"));
}

TEST_F(ImageValues, AreOneMeasurementForEachNumberOfVcpus) {
  if (!fs::exists(kSnp)) GTEST_SKIP() << "no " << kSnp;
  measure_.snp_firmware = kSnp / "ovmf_AmdSev_suffix.bin";
  const auto one = write();
  ASSERT_EQ(one.size(), 1U);
  measure_.vcpus = {"1", "4"};
  const Json several = write().at("snp_launch_measurement");
  ASSERT_EQ(several.size(), 2U);
  EXPECT_EQ(several[0], one.at("snp_launch_measurement")[0]);
  EXPECT_NE(several[0], several[1]);
}

TEST_F(ImageValues, SayWhatCannotBeMeasured) {
  measure_.tdx_firmware = folder_ / "none.fd";
  const auto files = write_image_values(measure_, image_);
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().to_string().find("none.fd"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "pods.values.json"));
}

TEST_F(ImageValues, AreNotWrittenUnlessAskedFor) {
  EXPECT_EQ(write_image_values(measure_, image_).value().size(), 0U);
  EXPECT_TRUE(check_image_measure(measure_));
  measure_.append = "quiet";
  EXPECT_NE(check_image_measure(measure_).error().message().find("--append"), std::string::npos);
  measure_.tpm_memory = "2G";
  EXPECT_TRUE(check_image_measure(measure_));
  measure_.vcpus = {"2"};
  EXPECT_NE(check_image_measure(measure_).error().message().find("--vcpus"), std::string::npos);
}

}  // namespace
}  // namespace coffer::cli
