#include "shim/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "shim/config/annotations.h"
#include "shim/config/keys.h"
#include "shim/config/load.h"
#include "shim/config/sizing.h"

namespace coffer::shim {
namespace {

constexpr const char* kHypervisor = "io.katacontainers.config.hypervisor.";

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

LoadedConfig parsed(std::string_view text) {
  auto loaded = parse_config(text, "c.toml");
  EXPECT_TRUE(loaded) << loaded.error().to_string();
  return loaded ? *loaded : LoadedConfig{};
}

std::string parse_error(std::string_view text) {
  const auto loaded = parse_config(text, "c.toml");
  return loaded ? "no error" : loaded.error().to_string();
}

TEST(Config, ReadsKeysOfEverySection) {
  const auto loaded = parsed(R"(
[hypervisor.qemu]
path = "/opt/kata/bin/qemu"
default_vcpus = 2
snp_guest_policy = 196608
virtio_fs_extra_args = ["-a", "-b"]
tee = "tdx"
[agent.kata]
dial_timeout = 45
kernel_modules = ["e1000e InterruptThrottleRate=3000"]
[runtime]
internetworking_model = "none"
experimental = ["force_guest_pull"]
create_container_timeout = 90
)");
  EXPECT_THAT(loaded.warnings, IsEmpty());
  EXPECT_EQ(loaded.config.hypervisor.path, "/opt/kata/bin/qemu");
  EXPECT_EQ(loaded.config.hypervisor.default_vcpus, 2);
  EXPECT_EQ(loaded.config.hypervisor.snp_guest_policy, 0x30000U);
  EXPECT_EQ(loaded.config.hypervisor.tee, TeeSetting::kTdx);
  EXPECT_THAT(loaded.config.hypervisor.virtio_fs_extra_args, ElementsAre("-a", "-b"));
  EXPECT_EQ(loaded.config.agent.reconnect_timeout_ms, 45000U);
  EXPECT_EQ(loaded.config.agent.create_container_timeout_ms, 90000U);
  EXPECT_EQ(loaded.config.runtime.internetworking_model, NetworkModel::kNone);
  EXPECT_TRUE(loaded.config.runtime.force_guest_pull);
}

TEST(Config, TakesGoAndRustNamesOfTheSameKey) {
  EXPECT_EQ(parsed("[hypervisor.qemu]\nseccompsandbox = \"on\"").config,
            parsed("[hypervisor.qemu]\nseccomp_sandbox = \"on\"").config);
  EXPECT_EQ(parsed("[agent.kata]\ncdh_api_timeout = 7").config,
            parsed("[agent.kata]\ncdh_api_timeout_ms = 7000").config);
}

TEST(Config, WarnsOfUnknownAndUnsupportedKeysByName) {
  EXPECT_THAT(parsed("[hypervisor.qemu]\n\nfancy = 1\nrootless = true\n[hypervisor.clh]\npath='x'\n"
                     "[other]\na=1\n")
                  .warnings,
              ElementsAre("c.toml:5: section [hypervisor.clh] is unknown and ignored",
                          "c.toml:3: [hypervisor.qemu] key 'fancy' is unknown and ignored",
                          "c.toml:4: [hypervisor.qemu] key 'rootless' is not supported by Coffer "
                          "and ignored",
                          "c.toml:7: section [other] is unknown and ignored"));
}

TEST(Config, PassesOverUnsupportedKeysThatAskForNothing) {
  EXPECT_THAT(parsed("[hypervisor.qemu]\nrootless = false\nhot_plug_vfio = \"no-port\"\n"
                     "vhost_user_store_path = \"/x\"\nindep_iothreads = 0\n"
                     "[agent.kata]\npassfd_listener_port = 1027\n[runtime]\nshared_mounts = []\n")
                  .warnings,
              IsEmpty());
}

TEST(Config, RefusesWithFileLineAndKey) {
  const std::pair<const char*, const char*> kCases[] = {
      {"[hypervisor.qemu]\npath = 3",
       "c.toml:2: [hypervisor.qemu] key 'path': got an integer, want a string"},
      {"[hypervisor.qemu]\ndefault_memory = -1", "key 'default_memory': got -1, want 0 to"},
      {"[hypervisor.qemu]\ndefault_memory = 1.5",
       "key 'default_memory': got a number, want an integer"},
      {"[hypervisor.qemu]\nenable_debug = \"yes\"", "got a string, want true or false"},
      {"[hypervisor.qemu]\nenable_annotations = [1]", "want an array of strings"},
      {"[hypervisor.qemu]\npath = 1979-05-27", "want a string"},
      {"[hypervisor.qemu]\nrootless = 3", "got an integer, want true or false"},
      {"[hypervisor.qemu]\ndefault_vcpus = nan", "want a finite number"},
      {"[hypervisor.qemu]\ntee = \"sgx\"", "got 'sgx', want one of none, snp, tdx"},
      {"[agent.kata]\nserver_port = 4294967296", "got 4294967296, want 0 to 4294967295"},
      {"[agent.kata]\ndial_timeout = 9223372036854775807", "seconds"},
      {"[runtime]\nhypervisor_name = \"clh\"", "got 'clh', Coffer has only 'qemu'"},
      {"[runtime]\nexperimental = [\"x\"]", "feature 'x' is unknown"},
      {"[hypervisor.qemu]\npath = \"a\\u0000b\"", "NUL"},
      {"[hypervisor.qemu\n", "c.toml:1: "},
      {"a = 1\na = 2\n", "c.toml:2: "},
  };
  for (const auto& [text, want] : kCases) EXPECT_THAT(parse_error(text), HasSubstr(want)) << text;
}

TEST(Config, RefusesATooLargeDocument) {
  const std::string kFits(std::size_t{1} << 20U, '\n');
  EXPECT_TRUE(parse_config(kFits, "c"));
  EXPECT_EQ(parse_config(kFits + "\n", "c").error().code(), Code::kResourceExhausted);
}

TEST(Config, RefusesDeepNesting) {
  EXPECT_NE(parse_error("a = " + std::string(100000, '[')), "no error");
}

class ConfigFiles : public testing::Test {
 protected:
  ConfigFiles() { std::filesystem::create_directories(root_ / "real/config.d"); }
  ~ConfigFiles() override { std::filesystem::remove_all(root_); }
  std::filesystem::path put(const std::string& name, std::string_view text) {
    EXPECT_TRUE(write_file(root_ / name, text));
    return root_ / name;
  }
  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("coffer-config-" + std::to_string(::getpid()));
};

TEST_F(ConfigFiles, DropInsBesideTheResolvedFileMergeInByteOrder) {
  put("real/c.toml",
      "[hypervisor.qemu]\nkernel='a'\ndefault_memory=1\nvalid_hypervisor_paths=['x']");
  put("real/config.d/10-a.toml", "[hypervisor.qemu]\nkernel='b'\nvalid_hypervisor_paths=['y']");
  put("real/config.d/9-b.toml", "[hypervisor.qemu]\nkernel='c'");
  std::filesystem::create_symlink("real/c.toml", root_ / "link.toml");
  const auto loaded = load_config_file(root_ / "link.toml");
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->config.hypervisor.kernel, "c");
  EXPECT_EQ(loaded->config.hypervisor.default_memory, 1U);
  EXPECT_THAT(loaded->config.hypervisor.valid_hypervisor_paths, ElementsAre("y"));
  EXPECT_EQ(loaded->config.file, std::filesystem::canonical(root_ / "real/c.toml"));
}

TEST_F(ConfigFiles, AnErrorInADropInNamesIt) {
  put("real/c.toml", "");
  const auto bad = put("real/config.d/50-user-overrides.toml", "[runtime]\nenable_debug = 1");
  EXPECT_THAT(load_config_file(root_ / "real/c.toml").error().to_string(),
              HasSubstr(bad.native() + ":2: [runtime] key 'enable_debug'"));
}

TEST_F(ConfigFiles, TheStrongestSourceWins) {
  const auto option = put("option.toml", "[hypervisor.qemu]\nkernel='option'");
  const auto env = put("env.toml", "[hypervisor.qemu]\nkernel='env'");
  const auto found = put("found.toml", "[hypervisor.qemu]\nkernel='found'");
  ConfigSources sources;
  sources.search = {root_ / "absent.toml", found};
  EXPECT_EQ(load_config(sources)->config.hypervisor.kernel, "found");
  sources.env_path = env;
  EXPECT_EQ(load_config(sources)->config.hypervisor.kernel, "env");
  sources.option_body = "[hypervisor.qemu]\nkernel='body'";
  EXPECT_EQ(load_config(sources)->config.hypervisor.kernel, "body");
  sources.option_path = option;
  EXPECT_EQ(load_config(sources)->config.hypervisor.kernel, "option");
  ConfigSources none;
  none.search = {root_ / "absent.toml"};
  EXPECT_EQ(load_config(none).error().code(), Code::kNotFound);
  EXPECT_THAT(load_config(none).error().message(), HasSubstr("absent.toml"));
}

TEST(ConfigSchema, EveryKeyStandsOnce) {
  for (const auto& key : all_keys()) EXPECT_EQ(find_key(key.section, key.name), &key) << key.name;
}

// The keys that are explained as another spelling of one that stands in the file.
bool is_other_spelling(const Key& key) {
  return key.section == "factory" ||
         (key.section == "runtime" && key.name == "create_container_timeout");
}

TEST(ShippedConfig, KnowsEveryKeyAndAsksForNothingUnsupported) {
  const std::filesystem::path file =
      std::filesystem::path(COFFER_SOURCE_DIR) / "configs/configuration-qemu.toml";
  const auto loaded = load_config_file(file);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_THAT(loaded->warnings, IsEmpty());
  EXPECT_TRUE(validate(loaded->config)) << validate(loaded->config).error().to_string();
  EXPECT_EQ(resolve_tee(loaded->config.hypervisor, {.snp = true, .tdx = true}), Tee::kNone);
  const auto text = read_file(file);
  ASSERT_TRUE(text);
  for (const auto& key : all_keys()) {
    if (is_other_spelling(key)) continue;
    EXPECT_THAT(*text, HasSubstr(std::string(key.name))) << key.section;
  }
}

TEST(ShippedConfig, ConfidentialClassesShareNothingAndNeverFallBack) {
  const std::pair<const char*, Tee> kClasses[] = {
      {"snp", Tee::kSnp}, {"tdx", Tee::kTdx}, {"coco-dev", Tee::kSnp}};
  for (const auto& [name, tee] : kClasses) {
    const auto loaded =
        load_config_file(std::filesystem::path(COFFER_SOURCE_DIR) /
                         ("configs/configuration-qemu-" + std::string(name) + ".toml"));
    ASSERT_TRUE(loaded) << loaded.error().to_string();
    EXPECT_THAT(loaded->warnings, IsEmpty()) << name;
    EXPECT_TRUE(validate(loaded->config)) << name;
    const auto& hypervisor = loaded->config.hypervisor;
    EXPECT_EQ(hypervisor.shared_fs, SharedFs::kNone);
    EXPECT_EQ(resolve_tee(hypervisor, {.snp = true, .tdx = true}), tee);
    EXPECT_EQ(resolve_tee(hypervisor, {}).has_value(), hypervisor.tee_emulation);
    EXPECT_FALSE(apply_annotations(loaded->config,
                                   {{std::string(kHypervisor) + "kernel_params", "init=/bin/sh"}}));
  }
}

// ---- TEE ----

HypervisorConfig with_tee(TeeSetting tee, bool confidential, bool snp_flag) {
  HypervisorConfig config;
  config.tee = tee;
  config.confidential_guest = confidential;
  config.sev_snp_guest = snp_flag;
  return config;
}

TEST(ResolveTee, NeverFallsBackToAPlainVm) {
  const HostTees kNothing;
  EXPECT_EQ(resolve_tee(with_tee(TeeSetting::kUnset, false, false), kNothing), Tee::kNone);
  for (const auto& config :
       {with_tee(TeeSetting::kUnset, true, false), with_tee(TeeSetting::kUnset, true, true),
        with_tee(TeeSetting::kSnp, false, false), with_tee(TeeSetting::kTdx, true, false)}) {
    const auto tee = resolve_tee(config, kNothing);
    ASSERT_FALSE(tee);
    EXPECT_EQ(tee.error().code(), Code::kFailedPrecondition);
  }
}

TEST(ResolveTee, DetectsWhatTheClassLeavesOpen) {
  EXPECT_EQ(resolve_tee(with_tee(TeeSetting::kUnset, true, true), {.snp = true}), Tee::kSnp);
  EXPECT_EQ(resolve_tee(with_tee(TeeSetting::kUnset, true, false), {.tdx = true}), Tee::kTdx);
  EXPECT_FALSE(resolve_tee(with_tee(TeeSetting::kUnset, true, false), {.snp = true}));
  EXPECT_FALSE(resolve_tee(with_tee(TeeSetting::kTdx, true, false), {.snp = true}));
}

TEST(ResolveTee, EmulationDoesNotAskTheHost) {
  auto config = with_tee(TeeSetting::kSnp, false, false);
  config.tee_emulation = true;
  EXPECT_EQ(resolve_tee(config, {}), Tee::kSnp);
}

TEST(ResolveTee, GivesWhatProvesNothingToDevelopmentAlone) {
  auto config = with_tee(TeeSetting::kSample, false, false);
  EXPECT_FALSE(resolve_tee(config, {.snp = true, .tdx = true}));
  config.tee_emulation = true;
  EXPECT_EQ(resolve_tee(config, {}), Tee::kSample);
}

TEST(Validate, ATpmNeedsFirmwareThatMeasures) {
  Config config;
  config.hypervisor.kernel = config.hypervisor.initrd = "/x";
  config.hypervisor.tee = TeeSetting::kTpm;
  config.hypervisor.tee_emulation = true;
  EXPECT_THAT(validate(config).error().message(), HasSubstr("needs firmware"));
  config.hypervisor.firmware = "/f";
  EXPECT_TRUE(validate(config)) << validate(config).error().to_string();
  EXPECT_EQ(resolve_tee(config.hypervisor, {}), Tee::kTpm);
}

TEST(Validate, ReportsAllContradictionsTogether) {
  Config config;
  config.hypervisor.image = config.hypervisor.initrd = "/x";
  config.hypervisor.snp_id_block = "AAAA";
  config.hypervisor.network_queues = 0;
  const auto status = validate(config);
  ASSERT_FALSE(status);
  for (const auto* want :
       {"kernel: not set", "both are set", "want both or neither",
        "snp_id_block: got 3 bytes, want 96", "network_queues: got 0, want 1 to 64"}) {
    EXPECT_THAT(status.error().message(), HasSubstr(want));
  }
  config = {};
  config.hypervisor.kernel = config.hypervisor.initrd = "/x";
  EXPECT_TRUE(validate(config));
}

// ---- annotations ----

Config class_config() {
  Config config;
  config.file = "/etc/kata/c.toml";
  config.hypervisor.enable_annotations = {"kernel", "default_.*", "cc_init_data", "path"};
  config.hypervisor.valid_hypervisor_paths = {"/opt/*/qemu"};
  config.hypervisor.kernel_params = "a=1 quiet";
  return config;
}

Result<AnnotatedConfig> annotated(const std::string& name, const std::string& value,
                                  Config config = class_config()) {
  return apply_annotations(config, {{name, value}});
}

TEST(Annotations, ChangeWhatIsEnabled) {
  const auto out = annotated(std::string(kHypervisor) + "default_vcpus", "3");
  ASSERT_TRUE(out) << out.error().to_string();
  EXPECT_EQ(out->config.hypervisor.default_vcpus, 3);
  EXPECT_EQ(annotated(std::string(kHypervisor) + "default_max_vcpus", "4")
                ->config.hypervisor.default_maxvcpus,
            4);
  EXPECT_EQ(annotated(std::string(kHypervisor) + "cc_init_data", "abc")->initdata, "abc");
}

TEST(Annotations, TheGateMatchesWholeNames) {
  // "kernel" is enabled; "kernel_params" is not, though it begins alike.
  const auto out = annotated(std::string(kHypervisor) + "kernel_params", "x");
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Code::kPermissionDenied);
  EXPECT_EQ(out.error().to_string(),
            "annotation io.katacontainers.config.hypervisor.kernel_params is not enabled (add it "
            "to enable_annotations in /etc/kata/c.toml)");
  EXPECT_FALSE(annotated(std::string(kHypervisor) + "xdefault_vcpus", "1"));
}

TEST(Annotations, PathsStayInsideTheirGlobs) {
  const std::string path = std::string(kHypervisor) + "path";
  EXPECT_TRUE(annotated(path, "/opt/kata/qemu"));
  for (const auto* bad : {"/opt/a/b/qemu", "/bin/sh", "/opt/../qemu", "opt/a/qemu", ""}) {
    EXPECT_FALSE(annotated(path, bad)) << bad;
  }
}

TEST(Annotations, NeverChangeWhatOnlyTheClassMayDecide) {
  auto config = class_config();
  config.hypervisor.enable_annotations = {".*"};
  for (const auto* name :
       {"enable_annotations", "tee", "confidential_guest", "valid_hypervisor_paths",
        "tee_emulation", "tee_emulation_vendor", "attestation_required", "accelerator"}) {
    const auto out = annotated(std::string(kHypervisor) + name, "true", config);
    ASSERT_TRUE(out);
    EXPECT_EQ(out->config, config) << name;
    EXPECT_EQ(out->warnings.size(), 1U);
  }
}

TEST(Annotations, RefuseAssetHashesRatherThanPassThemOver) {
  auto config = class_config();
  config.hypervisor.enable_annotations = {".*"};
  EXPECT_EQ(annotated(std::string(kHypervisor) + "kernel_hash", "00", config).error().code(),
            Code::kUnimplemented);
}

TEST(Annotations, RuntimeAndAgentOnesAreNotGated) {
  EXPECT_EQ(annotated("io.katacontainers.config.agent.kernel_modules", "a b=c; d")
                ->config.agent.kernel_modules,
            (std::vector<std::string>{"a b=c", "d"}));
  EXPECT_EQ(annotated("io.katacontainers.config.runtime.create_container_timeout", "5")
                ->config.agent.create_container_timeout_ms,
            5000U);
  EXPECT_FALSE(annotated("io.katacontainers.config.runtime.create_container_timeout", "x"));
  EXPECT_TRUE(annotated("io.katacontainers.enable_vcpus_pinning", "true")
                  ->config.runtime.enable_vcpus_pinning);
  EXPECT_EQ(annotated("com.example/other", "x")->config, class_config());
}

TEST(KernelParams, TheSameKeyIsReplaced) {
  EXPECT_EQ(merge_kernel_params("a=1 b a=2 quiet", "a=3 c"), "b quiet a=3 c");
  EXPECT_EQ(merge_kernel_params("x=\"a b\" y", ""), "x=\"a b\" y");
  EXPECT_EQ(merge_kernel_params("", "  "), "");
}

// ---- sizing ----

constexpr std::uint32_t kHostCpus = 8;
constexpr std::uint64_t kHostMib = 16384;
constexpr std::uint64_t kGib = std::uint64_t{1} << 30U;

VmSize sized(const PodResources& pod, const HypervisorConfig& config = {}) {
  const auto size = size_vm(config, pod, kHostCpus, kHostMib);
  EXPECT_TRUE(size) << size.error().to_string();
  return size.value_or(VmSize{});
}

TEST(Sizing, EachResourceByItself) {
  EXPECT_EQ(sized({}), (VmSize{1, 2048}));
  // Only a CPU limit: memory stays the class's default.
  EXPECT_EQ(sized({.vcpus = 2.0}), (VmSize{3, 2048}));
  EXPECT_EQ(sized({.memory_bytes = kGib}), (VmSize{1, 1056}));
  EXPECT_EQ(sized({.vcpus = 0.5}), (VmSize{1, 2048}));
  EXPECT_EQ(sized({.requested_vcpus = 4.0}), (VmSize{4, 2048}));
}

TEST(Sizing, HoldsItsLimits) {
  EXPECT_EQ(sized({.vcpus = 100.0}).vcpus, kHostCpus);
  EXPECT_EQ(sized({.memory_bytes = 1}).memory_mib, kMinMemoryMib);
  EXPECT_EQ(sized({.memory_bytes = 16 * kGib - (32U << 20U)}).memory_mib, kHostMib);
  EXPECT_EQ(size_vm({}, {.memory_bytes = 16 * kGib}, kHostCpus, kHostMib).error().code(),
            Code::kResourceExhausted);
  EXPECT_EQ(size_vm({}, {.memory_bytes = UINT64_MAX}, kHostCpus, kHostMib).error().code(),
            Code::kResourceExhausted);
  HypervisorConfig config;
  config.default_vcpus = -1;
  EXPECT_EQ(sized({}, config).vcpus, kHostCpus);
  config.default_maxvcpus = 2;
  EXPECT_EQ(sized({}, config).vcpus, 2U);
}

TEST(Sizing, ReadsContainerdsAndCrioAnnotations) {
  const auto pod = pod_resources({{"io.kubernetes.cri.sandbox-cpu-quota", "150000"},
                                  {"io.kubernetes.cri.sandbox-cpu-period", "100000"},
                                  {"io.kubernetes.cri.sandbox-memory", "104857600"}});
  ASSERT_TRUE(pod);
  EXPECT_EQ(pod->vcpus, 1.5);
  EXPECT_EQ(pod->memory_bytes, 104857600U);
  const auto shares = pod_resources({{"io.kubernetes.cri.sandbox-cpu-quota", "0"},
                                     {"io.kubernetes.cri.sandbox-cpu-period", "100000"},
                                     {"io.kubernetes.cri.sandbox-cpu-shares", "2048"},
                                     {"io.kubernetes.cri.sandbox-memory", "0"}});
  EXPECT_EQ(shares->vcpus, std::nullopt);
  EXPECT_EQ(shares->requested_vcpus, 2.0);
  EXPECT_EQ(shares->memory_bytes, std::nullopt);
  EXPECT_FALSE(pod_resources({{"io.kubernetes.cri.sandbox-memory", "1G"}}));
}

}  // namespace
}  // namespace coffer::shim
