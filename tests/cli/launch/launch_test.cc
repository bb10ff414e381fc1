#include "cli/launch/launch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "attestation/initdata/disk.h"
#include "attestation/initdata/gzip.h"
#include "attestation/initdata/initdata.h"
#include "base/fd.h"
#include "base/json.h"
#include "tee/emulator/guest_file.h"
#include "tee/tpm/ak_certificate.h"
#include "tee/x509_bundle.h"

namespace coffer::launch {
namespace {

namespace fs = std::filesystem;

// A real one: its setup header is read, and its PE image hashed.
constexpr const char* kKernel = COFFER_BIN_DIR "/../share/kata-containers/vmlinuz.container";
constexpr std::string_view kText = "version = '0.1.0'\nalgorithm = 'sha512'\n[data]\n";

// A firmware that is measured whatever it is, and the rest of a boot beside it.
class LaunchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-launch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* name : {"kernel", "initrd"}) ASSERT_TRUE(write_file(folder_ / name, name));
  }
  void TearDown() override { fs::remove_all(folder_); }

  Request request(std::string tee) {
    Request out;
    out.tee = std::move(tee);
    out.initdata = initdata::pack(kText);
    out.disk = folder_ / "disk";
    return out;
  }
  Request emulated(const std::string& firmware) {
    Request out = request("snp");
    out.emulated = true;
    out.guest = folder_ / "guest.json";
    out.vendor = folder_ / "vendor";
    out.firmware = firmware;
    out.kernel = folder_ / "kernel";
    out.initrd = folder_ / "initrd";
    out.append = "quiet";
    out.vcpus = 2;
    return out;
  }
  // `pod`: the name of its TPM's folder.
  Request with_tpm(const std::string& pod) {
    Request out = emulated("");
    out.tee = "tpm";
    out.kernel = kKernel;
    out.memory_mib = 512;
    out.tpm = folder_ / pod;
    out.ak_certificate = folder_ / (pod + ".der");
    return out;
  }
  static std::string measurement(const Answer& answer) {
    return nlohmann::json::parse(answer.launch).at("measurement").get<std::string>();
  }

  fs::path folder_;
};

TEST_F(LaunchTest, BindsTheDigestAsTheFieldHoldsIt) {
  const Bytes digest = initdata::digest(initdata::Algorithm::kSha512, kText);
  for (const auto& [tee, size] : {std::pair{"snp", 32U}, {"tdx", 48U}, {"tpm", 0U}, {"none", 0U}}) {
    const auto answer = prepare(request(tee));
    ASSERT_TRUE(answer) << answer.error().to_string();
    EXPECT_EQ(answer->digest, digest);
    EXPECT_EQ(answer->host_data, initdata::fit(digest, size)) << tee;
  }
}

TEST_F(LaunchTest, WritesTheDiskThatAGuestReads) {
  ASSERT_TRUE(prepare(request("snp")));
  const auto image = read_file(folder_ / "disk");
  ASSERT_TRUE(image);
  const auto packed = initdata::read_disk(as_bytes(*image));
  ASSERT_TRUE(packed) << packed.error().to_string();
  EXPECT_EQ(initdata::gunzip(*packed, initdata::kMaxText).value(), kText);
}

TEST_F(LaunchTest, RefusesInitdataThatAGuestWouldRefuse) {
  for (const std::string& wrong :
       {std::string("%%%"), to_base64(as_bytes("no gzip")), initdata::pack("version = '9'")}) {
    Request one = request("snp");
    one.initdata = wrong;
    const auto answer = prepare(one);
    ASSERT_FALSE(answer) << wrong;
    EXPECT_FALSE(fs::exists(folder_ / "disk"));
  }
}

TEST_F(LaunchTest, WithoutInitdataBindsNothing) {
  Request one = request("snp");
  one.initdata.clear();
  const auto answer = prepare(one);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->host_data.empty());
  EXPECT_FALSE(fs::exists(folder_ / "disk"));
}

TEST_F(LaunchTest, MeasuresEveryByteOfAnEmulatedBoot) {
  const std::string firmware = "/usr/share/ovmf/OVMF.fd";
  if (!fs::exists(firmware)) GTEST_SKIP() << "no " << firmware;
  const auto answer = prepare(emulated(firmware));
  ASSERT_TRUE(answer) << answer.error().to_string();
  const std::string good = measurement(*answer);
  EXPECT_EQ(measurement(*prepare(emulated(firmware))), good);
  const auto values = nlohmann::json::parse(answer->reference_values);
  EXPECT_EQ(values["snp_launch_measurement"], nlohmann::json::array({good}));
  EXPECT_EQ(values.size(), 5U);

  Request other_line = emulated(firmware);
  other_line.append = "quie";
  EXPECT_NE(measurement(*prepare(other_line)), good);
  Request more_cpus = emulated(firmware);
  more_cpus.vcpus = 3;
  EXPECT_NE(measurement(*prepare(more_cpus)), good);
  for (const char* name : {"kernel", "initrd"}) {
    ASSERT_TRUE(write_file(folder_ / name, "other"));
    EXPECT_NE(measurement(*prepare(emulated(firmware))), good) << name;
    ASSERT_TRUE(write_file(folder_ / name, name));
  }
}

TEST_F(LaunchTest, GivesAGuestThatTheEmulatorPlaysAndKeepsItsVendor) {
  const std::string firmware = "/usr/share/ovmf/OVMF.fd";
  if (!fs::exists(firmware)) GTEST_SKIP() << "no " << firmware;
  ASSERT_TRUE(prepare(emulated(firmware)));
  const auto root = read_file(folder_ / "vendor/snp/root.pem");
  const auto first = read_file(folder_ / "guest.json");
  ASSERT_TRUE(first);
  const auto guest = emulator::load_guest(*first);
  ASSERT_TRUE(guest) << guest.error().to_string();
  EXPECT_EQ((*guest)->provider(), "sev_guest");
  EXPECT_EQ(fs::status(folder_ / "guest.json").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_TRUE(prepare(emulated(firmware)));
  EXPECT_EQ(read_file(folder_ / "vendor/snp/root.pem").value(), root.value());
  const auto second = read_file(folder_ / "guest.json");
  EXPECT_EQ(nlohmann::json::parse(*first)["pki"], nlohmann::json::parse(*second)["pki"]);
  EXPECT_NE(nlohmann::json::parse(*first)["launch"]["report_id"],
            nlohmann::json::parse(*second)["launch"]["report_id"]);
}

TEST_F(LaunchTest, MakesEachPodATpmWhoseKeyTheVendorCertifies) {
  if (!fs::exists("/usr/bin/swtpm")) GTEST_SKIP() << "no swtpm";
  if (!fs::exists(kKernel)) GTEST_SKIP() << "no " << kKernel;
  std::set<Bytes> keys;
  for (const char* pod : {"one", "two"}) {
    const auto answer = prepare(with_tpm(pod));
    ASSERT_TRUE(answer) << answer.error().to_string();
    const auto root = read_file(folder_ / "vendor/tpm/root.pem");
    const auto der = read_file(folder_ / (std::string(pod) + ".der"));
    ASSERT_TRUE(root && der);
    const auto certificate = tee::Certificate::from_der(as_bytes(*der)).value();
    const auto roots = tee::parse_x509_bundle(as_bytes(*root), "root").value();
    tee::Verdict verdict("tpm");
    const auto endorsed =
        tpm::check_ak_certificate(as_bytes(*der), certificate.public_key(), roots.certificates,
                                  static_cast<tee::UnixTime>(::time(nullptr)), verdict);
    EXPECT_TRUE(endorsed.certified && endorsed.emulated) << verdict.to_table();
    keys.insert(certificate.public_key().spki());
    // Only its state is left: neither sockets nor a process.
    EXPECT_TRUE(fs::exists(folder_ / pod / "tpm2-00.permall"));
    for (const auto& left : fs::directory_iterator(folder_ / pod)) {
      EXPECT_TRUE(left.is_regular_file()) << left.path();
    }
  }
  EXPECT_EQ(keys.size(), 2U);
}

TEST_F(LaunchTest, PredictsThePcrsOfATpmsBootAndNeedsNoTpmForThat) {
  if (!fs::exists(kKernel)) GTEST_SKIP() << "no " << kKernel;
  const auto launch_of = [&](const Request& request) {
    return nlohmann::json::parse(prepare(request).value().launch);
  };
  Request request = with_tpm("");
  request.tpm.clear();
  const auto good = launch_of(request);
  EXPECT_FALSE(fs::exists(folder_ / "tpm"));
  request.append = "quie";
  EXPECT_EQ(launch_of(request)["pcr09"] == good["pcr09"], false);
  request.append = "quiet";
  ASSERT_TRUE(write_file(folder_ / "initrd", "initrD"));
  EXPECT_EQ(launch_of(request)["pcr09"] == good["pcr09"], false);
  EXPECT_EQ(launch_of(request)["pcr04"], good["pcr04"]);
}

TEST_F(LaunchTest, NamesTheFirmwareThatIsMissing) {
  Request one = emulated("");
  const auto answer = prepare(one);
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().to_string().find("set 'firmware'"), std::string::npos);
}

TEST(LaunchRequest, RefusesWhatItDoesNotKnow) {
  for (const char* wrong : {"", "[]", R"({"tee": "sgx"})", R"({"tee": 1})", R"({"emulated": 1})",
                            R"({"vcpus": -1})", R"({"vcpus": 4294967296})", R"({"other": 1})"}) {
    EXPECT_FALSE(parse_request(wrong)) << wrong;
  }
  const auto parsed = parse_request(R"({"tee": "tdx", "vcpus": 4, "emulated": true})");
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(parsed->tee, "tdx");
  EXPECT_EQ(parsed->vcpus, 4U);
  EXPECT_TRUE(parsed->emulated);
}

}  // namespace
}  // namespace coffer::launch
