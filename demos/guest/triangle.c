/* SPDX-License-Identifier: MIT */
/*
 * A program that draws by a guest's driver of Vulkan: a triangle on a cleared picture, copied into memory
 * that it sees, where each pixel is looked at, as often as it is told. Says by whom it was drawn, and how
 * fast. A last one, with a colour at each corner, may be left as a file.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vulkan.h>

enum { SIDE = 256 };

static VkPhysicalDevice gpu;
static VkDevice device;
static VkQueue queue;
static VkCommandBuffer commands;
static VkFence fence;
static VkImage image;
static VkRenderPass pass;
static VkFramebuffer canvas;
static VkPipelineLayout layout;
static VkPipeline pipeline;
static VkBuffer buffer;
static const uint8_t (*pixels)[SIDE][4];

/* What the shaders are told. */
static const struct triangle {
	float corners[3][4], colours[3][4];
} in_the_middle = {{{0, -0.8f, 0, 1}, {0.9f, 0.75f, 0, 1}, {-0.9f, 0.75f, 0, 1}},
	{{1, 0, 0, 1}, {0, 1, 0, 1}, {0, 0, 1, 1}}};

/*
 * SPIR-V, as glslang makes it of this for the corners (Triangle being the struct above, pushed):
 *
 *	void main() { colour = t.colours[gl_VertexIndex]; gl_Position = t.corners[gl_VertexIndex]; }
 */
static const uint32_t vertex_shader[] = {0x7230203, 0x10000, 0x8000b, 35, 0, 0x20011, 1, 0x6000b, 1,
	0x4c534c47, 0x6474732e, 0x3035342e, 0, 0x3000e, 0, 1, 0x8000f, 0, 4, 0x6e69616d, 0, 9, 20,
	29, 0x40047, 9, 30, 0, 0x40047, 12, 6, 16, 0x40047, 13, 6, 16, 0x50048, 14, 0, 35, 0,
	0x50048, 14, 1, 35, 48, 0x30047, 14, 2, 0x40047, 20, 11, 42, 0x50048, 27, 0, 11, 0, 0x50048,
	27, 1, 11, 1, 0x50048, 27, 2, 11, 3, 0x50048, 27, 3, 11, 4, 0x30047, 27, 2, 0x20013, 2,
	0x30021, 3, 2, 0x30016, 6, 32, 0x40017, 7, 6, 4, 0x40020, 8, 3, 7, 0x4003b, 8, 9, 3,
	0x40015, 10, 32, 0, 0x4002b, 10, 11, 3, 0x4001c, 12, 7, 11, 0x4001c, 13, 7, 11, 0x4001e, 14,
	12, 13, 0x40020, 15, 9, 14, 0x4003b, 15, 16, 9, 0x40015, 17, 32, 1, 0x4002b, 17, 18, 1,
	0x40020, 19, 1, 17, 0x4003b, 19, 20, 1, 0x40020, 22, 9, 7, 0x4002b, 10, 25, 1, 0x4001c, 26,
	6, 25, 0x6001e, 27, 7, 6, 26, 26, 0x40020, 28, 3, 27, 0x4003b, 28, 29, 3, 0x4002b, 17, 30,
	0, 0x50036, 2, 4, 0, 3, 0x200f8, 5, 0x4003d, 17, 21, 20, 0x60041, 22, 23, 16, 18, 21,
	0x4003d, 7, 24, 23, 0x3003e, 9, 24, 0x4003d, 17, 31, 20, 0x60041, 22, 32, 16, 30, 31,
	0x4003d, 7, 33, 32, 0x50041, 8, 34, 29, 30, 0x3003e, 34, 33, 0x100fd, 0x10038};

/* And of this for what is between: void main() { pixel = colour; } */
static const uint32_t fragment_shader[] = {0x7230203, 0x10000, 0x8000b, 13, 0, 0x20011, 1, 0x6000b,
	1, 0x4c534c47, 0x6474732e, 0x3035342e, 0, 0x3000e, 0, 1, 0x7000f, 4, 4, 0x6e69616d, 0, 9,
	11, 0x30010, 4, 7, 0x40047, 9, 30, 0, 0x40047, 11, 30, 0, 0x20013, 2, 0x30021, 3, 2,
	0x30016, 6, 32, 0x40017, 7, 6, 4, 0x40020, 8, 3, 7, 0x4003b, 8, 9, 3, 0x40020, 10, 1, 7,
	0x4003b, 10, 11, 1, 0x50036, 2, 4, 0, 3, 0x200f8, 5, 0x4003d, 7, 12, 11, 0x3003e, 9, 12,
	0x100fd, 0x10038};

static void check(VkResult r, const char *what)
{
	if (r == VK_SUCCESS)
		return;
	fprintf(stderr, "triangle: %s: %d\n", what, r);
	exit(1);
}
#define DO(call) check(call, #call)

/* ---- who draws ---- */

static void find_gpu(void)
{
	const VkApplicationInfo app = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app};
	VkPhysicalDeviceProperties p;
	VkInstance instance;
	uint32_t n = 1;

	DO(vkCreateInstance(&info, NULL, &instance));
	DO(vkEnumeratePhysicalDevices(instance, &n, &gpu));
	vkGetPhysicalDeviceProperties(gpu, &p);
	printf("%s, Vulkan %u.%u.%u\n", p.deviceName, VK_API_VERSION_MAJOR(p.apiVersion),
		VK_API_VERSION_MINOR(p.apiVersion), VK_API_VERSION_PATCH(p.apiVersion));
}

static void make_device(void)
{
	const float priority = 1;
	const VkDeviceQueueCreateInfo q = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueCount = 1,
		.pQueuePriorities = &priority};
	const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &q};
	const VkCommandPoolCreateInfo pool_info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT};
	const VkFenceCreateInfo fence_info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
	VkCommandBufferAllocateInfo buffer_info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandBufferCount = 1};

	DO(vkCreateDevice(gpu, &info, NULL, &device));
	vkGetDeviceQueue(device, 0, 0, &queue);
	DO(vkCreateCommandPool(device, &pool_info, NULL, &buffer_info.commandPool));
	DO(vkAllocateCommandBuffers(device, &buffer_info, &commands));
	DO(vkCreateFence(device, &fence_info, NULL, &fence));
}

/* ---- what is drawn on, and where it is seen ---- */

static VkDeviceMemory allocate(VkMemoryRequirements need, VkMemoryPropertyFlags flags)
{
	VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need.size};
	VkPhysicalDeviceMemoryProperties p;
	VkDeviceMemory memory;
	uint32_t i = 0;

	vkGetPhysicalDeviceMemoryProperties(gpu, &p);
	while (i < p.memoryTypeCount
		&& (!(need.memoryTypeBits >> i & 1)
			|| (p.memoryTypes[i].propertyFlags & flags) != flags))
		i++;
	info.memoryTypeIndex = i;
	DO(vkAllocateMemory(device, &info, NULL, &memory));
	return memory;
}

static void make_image(void)
{
	const VkImageCreateInfo info = {.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = {SIDE, SIDE, 1},
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT};
	VkMemoryRequirements need;

	DO(vkCreateImage(device, &info, NULL, &image));
	vkGetImageMemoryRequirements(device, image, &need);
	DO(vkBindImageMemory(device, image, allocate(need, 0), 0));
}

static void make_buffer(void)
{
	const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = SIDE * SIDE * 4,
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
	VkMemoryRequirements need;
	VkDeviceMemory memory;

	DO(vkCreateBuffer(device, &info, NULL, &buffer));
	vkGetBufferMemoryRequirements(device, buffer, &need);
	memory = allocate(
		need, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
	DO(vkBindBufferMemory(device, buffer, memory, 0));
	DO(vkMapMemory(device, memory, 0, VK_WHOLE_SIZE, 0, (void **)&pixels));
}

/* It begins with a clear and ends ready to be copied from. */
static void make_pass(void)
{
	const VkAttachmentDescription attachment = {.format = VK_FORMAT_R8G8B8A8_UNORM,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
		.storeOp = VK_ATTACHMENT_STORE_OP_STORE,
		.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
		.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
		.finalLayout = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL};
	const VkAttachmentReference reference = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
	const VkSubpassDescription subpass = {.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
		.colorAttachmentCount = 1,
		.pColorAttachments = &reference};
	const VkSubpassDependency to_copy = {0, VK_SUBPASS_EXTERNAL,
		VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
		VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT, VK_ACCESS_TRANSFER_READ_BIT, 0};
	const VkRenderPassCreateInfo info = {.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
		.attachmentCount = 1,
		.pAttachments = &attachment,
		.subpassCount = 1,
		.pSubpasses = &subpass,
		.dependencyCount = 1,
		.pDependencies = &to_copy};

	DO(vkCreateRenderPass(device, &info, NULL, &pass));
}

static void make_canvas(void)
{
	const VkImageViewCreateInfo view_info = {.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.image = image,
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
	VkImageView view;
	VkFramebufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
		.renderPass = pass,
		.attachmentCount = 1,
		.pAttachments = &view,
		.width = SIDE,
		.height = SIDE,
		.layers = 1};

	DO(vkCreateImageView(device, &view_info, NULL, &view));
	DO(vkCreateFramebuffer(device, &info, NULL, &canvas));
}

/* ---- how it is drawn ---- */

static VkPipelineShaderStageCreateInfo stage(
	VkShaderStageFlagBits kind, const uint32_t *words, size_t size)
{
	const VkShaderModuleCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = size,
		.pCode = words};
	VkPipelineShaderStageCreateInfo s = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		.stage = kind,
		.pName = "main"};

	DO(vkCreateShaderModule(device, &info, NULL, &s.module));
	return s;
}

static void make_layout(void)
{
	const VkPushConstantRange told = {VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(struct triangle)};
	const VkPipelineLayoutCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &told};

	DO(vkCreatePipelineLayout(device, &info, NULL, &layout));
}

static void make_pipeline(void)
{
	const VkPipelineShaderStageCreateInfo stages[] = {
		stage(VK_SHADER_STAGE_VERTEX_BIT, vertex_shader, sizeof(vertex_shader)),
		stage(VK_SHADER_STAGE_FRAGMENT_BIT, fragment_shader, sizeof(fragment_shader))};
	const VkPipelineVertexInputStateCreateInfo no_input = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO};
	const VkPipelineInputAssemblyStateCreateInfo triangles = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST};
	const VkViewport port = {0, 0, SIDE, SIDE, 0, 1};
	const VkRect2D scissor = {{0, 0}, {SIDE, SIDE}};
	const VkPipelineViewportStateCreateInfo viewport = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
		.viewportCount = 1,
		.pViewports = &port,
		.scissorCount = 1,
		.pScissors = &scissor};
	const VkPipelineRasterizationStateCreateInfo filled = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
		.lineWidth = 1};
	const VkPipelineMultisampleStateCreateInfo one_sample = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT};
	const VkPipelineColorBlendAttachmentState all_channels = {.colorWriteMask = 0xf};
	const VkPipelineColorBlendStateCreateInfo no_blending = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
		.attachmentCount = 1,
		.pAttachments = &all_channels};
	const VkGraphicsPipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
		.stageCount = 2,
		.pStages = stages,
		.pVertexInputState = &no_input,
		.pInputAssemblyState = &triangles,
		.pViewportState = &viewport,
		.pRasterizationState = &filled,
		.pMultisampleState = &one_sample,
		.pColorBlendState = &no_blending,
		.layout = layout,
		.renderPass = pass};

	DO(vkCreateGraphicsPipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline));
}

static void record(const VkClearValue *back, const struct triangle *front)
{
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
	const VkRenderPassBeginInfo pass_info = {.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
		.renderPass = pass,
		.framebuffer = canvas,
		.renderArea = {{0, 0}, {SIDE, SIDE}},
		.clearValueCount = 1,
		.pClearValues = back};
	const VkBufferImageCopy copy = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
		.imageExtent = {SIDE, SIDE, 1}};
	const VkMemoryBarrier to_host = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_HOST_READ_BIT};

	DO(vkBeginCommandBuffer(commands, &begin));
	vkCmdBeginRenderPass(commands, &pass_info, VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(*front), front);
	vkCmdDraw(commands, 3, 1, 0, 0);
	vkCmdEndRenderPass(commands);
	vkCmdCopyImageToBuffer(
		commands, image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer, 1, &copy);
	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
		0, 1, &to_host, 0, NULL, 0, NULL);
	DO(vkEndCommandBuffer(commands));
}

static void draw(const VkClearValue *back, const struct triangle *front)
{
	const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = 1,
		.pCommandBuffers = &commands};

	record(back, front);
	DO(vkQueueSubmit(queue, 1, &submit, fence));
	DO(vkWaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX));
	DO(vkResetFences(device, 1, &fence));
}

/* ---- what came out ---- */

/* How many pixels are not as they should be: the triangle is what is above the diagonal. */
static unsigned look(const uint8_t back[4], const uint8_t front[4])
{
	unsigned wrong = 0;

	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++)
			if (x + y != SIDE - 1) // the edge itself may be either
				wrong += memcmp(pixels[y][x], x + y < SIDE - 1 ? front : back, 4)
					!= 0;
	return wrong;
}

static VkClearValue colour_of(const uint8_t c[4])
{
	return (VkClearValue){.color.float32 = {(float)c[0] / 255, (float)c[1] / 255,
				      (float)c[2] / 255, (float)c[3] / 255}};
}

static unsigned draw_checked(uint8_t n)
{
	const uint8_t back[4] = {n, 0, 255 - n, 255}, front[4] = {0, 255 - n, n, 255};
	const VkClearValue back_value = colour_of(back), front_value = colour_of(front);
	struct triangle half = {{{-1, -1, 0, 1}, {1, -1, 0, 1}, {-1, 1, 0, 1}}, {{0}}};

	for (unsigned i = 0; i < 3; i++)
		memcpy(half.colours[i], &front_value, sizeof(half.colours[i]));
	draw(&back_value, &half);
	return look(back, front);
}

static void leave_picture(const char *name)
{
	const VkClearValue grey = {.color.float32 = {0.1f, 0.1f, 0.1f, 1}};
	FILE *f = fopen(name, "wb");

	if (!f) {
		perror(name);
		exit(1);
	}
	draw(&grey, &in_the_middle);
	fprintf(f, "P6 %d %d 255\n", SIDE, SIDE);
	for (unsigned y = 0; y < SIDE; y++)
		for (unsigned x = 0; x < SIDE; x++)
			fwrite(pixels[y][x], 1, 3, f);
	fclose(f);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	unsigned wrong = 0, frames = argc > 1 ? (unsigned)atoi(argv[1]) : 500, bad = 0;
	double begun;

	find_gpu();
	make_device();
	make_image();
	make_buffer();
	make_pass();
	make_canvas();
	make_layout();
	make_pipeline();
	draw_checked(0); // by now all is compiled
	begun = seconds();
	for (unsigned i = 0; i < frames; i++) {
		wrong = draw_checked((uint8_t)(i * 5));
		bad += wrong != 0;
	}
	printf("%u frames, %u bad, %.1f frames/s\n", frames, bad, frames / (seconds() - begun));
	if (argc > 2)
		leave_picture(argv[2]);
	return bad ? 1 : 0;
}
