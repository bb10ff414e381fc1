// Every measurement vector is equal to the last bit.
#include <algorithm>

#include "tee/sev-snp/launch_digest.h"
#include "tee/sev-snp/vcpu.h"
#include "tests/tee/sev-snp/vectors.h"

namespace coffer::snp {
namespace {

using nlohmann::json;

Bytes input(const json& entry, const char* key) {
  if (!entry.contains(key) || entry[key].is_null() || entry[key] == "empty-file") return {};
  return load("measurement/" + entry[key].get<std::string>());
}

std::uint64_t number(const json& value) {
  return std::stoull(value.get<std::string>(), nullptr, 16);
}

std::optional<KernelHashes> kernel_of(const json& entry) {
  if (!entry.contains("kernel") || entry["kernel"].is_null()) return std::nullopt;
  const std::string append = entry["append"].is_null() ? "" : entry["append"].get<std::string>();
  return hash_kernel(input(entry, "kernel"), input(entry, "initrd"), append);
}

GuestCpus cpus_of(const json& entry) {
  GuestCpus cpus{.count = entry["vcpus"]};
  if (entry.contains("vmm") && entry["vmm"].is_string()) {
    cpus.vmm = *vmm_by_name(entry["vmm"].get<std::string>());
  }
  if (entry.contains("vcpu_sig") && entry["vcpu_sig"].is_string()) {
    cpus.signature = static_cast<std::uint32_t>(number(entry["vcpu_sig"]));
  }
  cpus.sev_features = number(entry["sev_features"]);
  return cpus;
}

template <typename Digest>
Result<std::string> hex(const Result<Digest>& digest) {
  if (!digest) return fail(digest.error());
  return to_hex(*digest);
}

Result<std::string> measure_snp(const json& entry, const GuestCpus& cpus) {
  const Bytes ovmf = input(entry, "ovmf");
  SnpLaunch launch{.firmware = {}, .metadata = {}, .kernel = kernel_of(entry)};
  COFFER_TRY(launch.metadata, parse_sev_metadata(ovmf));
  if (entry.contains("ovmf_hash_seed") && entry["ovmf_hash_seed"].is_string()) {
    const Bytes seed = *from_hex(entry["ovmf_hash_seed"].get<std::string>());
    std::copy(seed.begin(), seed.end(), launch.firmware.begin());
  } else {
    COFFER_TRY(launch.firmware, measure_firmware(ovmf));
  }
  return hex(snp_launch_digest(launch, cpus));
}

Result<std::string> measure(const json& entry) {
  std::string mode = entry["mode"];
  if (mode == "snp" || mode == "SevMode.SEV_SNP") return measure_snp(entry, cpus_of(entry));
  if (mode == "snp-svsm" || mode == "SevMode.SEV_SNP_SVSM") {
    return hex(svsm_launch_digest(input(entry, "ovmf"), input(entry, "svsm"),
                                  entry["ovmf_vars_size"], cpus_of(entry)));
  }
  if (mode == "seves" || mode == "SevMode.SEV_ES") {
    return hex(sev_es_digest(input(entry, "ovmf"), kernel_of(entry), cpus_of(entry)));
  }
  return hex(sev_digest(input(entry, "ovmf"), kernel_of(entry)));
}

TEST_F(Vectors, EveryMeasurementIsEqualToTheLastBit) {
  int seen = 0;
  for (const auto* file : {"measurement/expected.json", "measurement/published.json"}) {
    const json cases = load_json(file);
    for (const auto& entry : cases["cases"]) {
      const auto got = measure(entry);
      ++seen;
      if (entry.contains("expected_error")) {
        EXPECT_FALSE(got) << entry;
        continue;
      }
      ASSERT_TRUE(got) << entry << got.error().to_string();
      EXPECT_EQ(*got, entry["expected"].get<std::string>()) << entry;
    }
  }
  EXPECT_EQ(seen, 204 + 18);
}

TEST_F(Vectors, FirmwareHashesAreTheRecordedOnes) {
  const json expected = load_json("measurement/expected.json");
  for (const auto& [file, hash] : expected["ovmf_hash"].items()) {
    EXPECT_EQ(to_hex(*measure_firmware(load("measurement/" + file))), hash.get<std::string>())
        << file;
  }
}

TEST_F(Vectors, ARealGuestsMeasurementIsRecomputedFromItsParts) {
  const json entry = load_json("measurement/real_hw_dstack.json");
  SnpLaunch launch;
  const Bytes seed = *from_hex(entry["ovmf_launch_digest_seed"].get<std::string>());
  std::copy(seed.begin(), seed.end(), launch.firmware.begin());
  for (const auto& section : entry["metadata_sections"]) {
    launch.metadata.sections.push_back(
        {.gpa = static_cast<std::uint32_t>(number(section["gpa"])),
         .size = section["size"],
         .type = static_cast<SectionType>(section["type"].get<std::uint32_t>())});
  }
  launch.metadata.hashes_table_gpa = static_cast<std::uint32_t>(number(entry["hashes_table_gpa"]));
  launch.metadata.ap_reset_eip = static_cast<std::uint32_t>(number(entry["ap_reset_eip"]));
  KernelHashes kernel = hash_kernel({}, {}, entry["cmdline"].get<std::string>());
  const Bytes kernel_hash = *from_hex(entry["kernel_sha256"].get<std::string>());
  const Bytes initrd_hash = *from_hex(entry["initrd_sha256"].get<std::string>());
  std::copy(kernel_hash.begin(), kernel_hash.end(), kernel.kernel.begin());
  std::copy(initrd_hash.begin(), initrd_hash.end(), kernel.initrd.begin());
  launch.kernel = kernel;
  const GuestCpus cpus{.count = entry["vcpus"],
                       .signature = *vcpu_signature_of(entry["vcpu_type"].get<std::string>()),
                       .vmm = Vmm::kQemu,
                       .sev_features = entry["sev_features"]};
  EXPECT_EQ(to_hex(*snp_launch_digest(launch, cpus)),
            entry["expected_measurement"].get<std::string>());
}

TEST_F(Vectors, EveryInputOfALaunchShowsInItsDigest) {
  const Bytes ovmf = load("measurement/ovmf_AmdSev_suffix.bin");
  SnpLaunch launch{.firmware = *measure_firmware(ovmf),
                   .metadata = *parse_sev_metadata(ovmf),
                   .kernel = hash_kernel(to_bytes("k"), to_bytes("i"), "a b")};
  const GuestCpus cpus{.count = 2, .signature = 0xA00F11};
  const auto base = *snp_launch_digest(launch, cpus);
  const auto differs = [&](const SnpLaunch& other, const GuestCpus& other_cpus) {
    return *snp_launch_digest(other, other_cpus) != base;
  };
  auto other = launch;
  other.kernel = hash_kernel(to_bytes("k"), to_bytes("i"), "a b ");
  EXPECT_TRUE(differs(other, cpus)) << "trailing white space of the command line";
  other.kernel = hash_kernel(to_bytes("k"), to_bytes("j"), "a b");
  EXPECT_TRUE(differs(other, cpus)) << "initrd";
  other.kernel = std::nullopt;
  EXPECT_TRUE(differs(other, cpus)) << "kernel";
  EXPECT_TRUE(differs(launch, {.count = 3, .signature = 0xA00F11})) << "vCPU count";
  EXPECT_TRUE(differs(launch, {.count = 2, .signature = 0xA10F10})) << "vCPU type";
  EXPECT_TRUE(differs(launch, {.count = 2, .signature = 0xA00F11, .sev_features = 0x21}));
  for (const auto vmm : {Vmm::kEc2, Vmm::kGce, Vmm::kKrun}) {
    EXPECT_TRUE(differs(launch, {.count = 2, .signature = 0xA00F11, .vmm = vmm}));
  }
}

TEST(LaunchDigest, RefusesAnAbsurdNumberOfVcpus) {
  EXPECT_FALSE(snp_launch_digest({}, {.count = 0}));
  EXPECT_FALSE(snp_launch_digest({}, {.count = 65536}));
  EXPECT_TRUE(snp_launch_digest({}, {.count = 1}));
}

TEST(LaunchDigest, RefusesSecondVcpuWithoutAResetBlock) {
  const auto digest = snp_launch_digest({}, {.count = 2});
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error().code(), Code::kFailedPrecondition);
}

TEST(LaunchDigest, RefusesFirmwareThatIsNoWholeNumberOfPages) {
  EXPECT_FALSE(measure_firmware({}));
  EXPECT_FALSE(measure_firmware(Bytes(4095)));
  EXPECT_TRUE(measure_firmware(Bytes(4096)));
}

TEST(Vcpu, KnowsQemusModels) {
  EXPECT_EQ(*vcpu_signature_of("EPYC-v4"), 0x800F12U);
  EXPECT_EQ(*vcpu_signature_of("EPYC-Rome"), 0x830F10U);
  EXPECT_EQ(*vcpu_signature_of("EPYC-Milan-v2"), 0xA00F11U);
  EXPECT_EQ(*vcpu_signature_of("EPYC-Genoa"), 0xA10F10U);
  EXPECT_EQ(*vcpu_signature_of("EPYC-Turin"), 0xB00F00U);
  for (const auto* type : {"", "EPYC-v0", "EPYC-v9", "EPYC-Milan-", "Opteron_G1", "EPYC-Naples"}) {
    EXPECT_FALSE(vcpu_signature_of(type)) << type;
  }
}

}  // namespace
}  // namespace coffer::snp
