/* SPDX-License-Identifier: MIT */
/*
 * A program that draws by the guest's driver of OpenGL and looks at each pixel of what came out: a
 * cleared picture, a triangle with a shader of its own on it, and the same many times over. Says by
 * whom it was drawn.
 */
#include <epoxy/egl.h>
#include <epoxy/gl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 64, FRAMES = 50 };

static void fail(const char *what)
{
	fprintf(stderr, "draw: %s (EGL 0x%x)\n", what, (unsigned)eglGetError());
	exit(1);
}

static void make_context(void)
{
	static const EGLint attributes[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE};
	EGLDisplay display = eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS_MESA, NULL, NULL);
	EGLContext context;

	if (!eglInitialize(display, NULL, NULL))
		fail("no display");
	eglBindAPI(EGL_OPENGL_ES_API);
	context = eglCreateContext(display, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT, attributes);
	if (!context || !eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context))
		fail("no context");
}

static void make_canvas(void)
{
	GLuint texture, canvas;

	glGenTextures(1, &texture);
	glBindTexture(GL_TEXTURE_2D, texture);
	glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, SIDE, SIDE, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
	glGenFramebuffers(1, &canvas);
	glBindFramebuffer(GL_FRAMEBUFFER, canvas);
	glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
	if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE)
		fail("no canvas");
	glViewport(0, 0, SIDE, SIDE);
}

static GLuint shader(GLenum kind, const char *text)
{
	GLuint s = glCreateShader(kind);
	GLint fine;

	glShaderSource(s, 1, &text, NULL);
	glCompileShader(s);
	glGetShaderiv(s, GL_COMPILE_STATUS, &fine);
	if (!fine)
		fail("no shader");
	return s;
}

/* Half of the canvas, below the diagonal. */
static GLint make_program(void)
{
	static const GLfloat corners[] = {-1, -1, 1, -1, -1, 1};
	GLuint program = glCreateProgram(), buffer;

	glAttachShader(program,
		shader(GL_VERTEX_SHADER,
			"attribute vec2 at;\n"
			"void main() { gl_Position = vec4(at, 0.0, 1.0); }\n"));
	glAttachShader(program,
		shader(GL_FRAGMENT_SHADER,
			"precision mediump float;\n"
			"uniform vec4 colour;\n"
			"void main() { gl_FragColor = colour; }\n"));
	glBindAttribLocation(program, 0, "at");
	glLinkProgram(program);
	glUseProgram(program);
	glGenBuffers(1, &buffer);
	glBindBuffer(GL_ARRAY_BUFFER, buffer);
	glBufferData(GL_ARRAY_BUFFER, sizeof(corners), corners, GL_STATIC_DRAW);
	glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
	glEnableVertexAttribArray(0);
	return glGetUniformLocation(program, "colour");
}

/* How many pixels are not as they should be. */
static unsigned look(const uint8_t back[4], const uint8_t front[4])
{
	static uint8_t pixels[SIDE][SIDE][4];
	unsigned wrong = 0;

	memset(pixels, 0x55, sizeof(pixels));
	glReadPixels(0, 0, SIDE, SIDE, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
	for (unsigned y = 0; y < SIDE; y++)
		for (unsigned x = 0; x < SIDE; x++)
			if (x + y != SIDE - 1) // the edge itself may be either
				wrong += memcmp(pixels[y][x], x + y < SIDE - 1 ? front : back, 4)
					!= 0;
	return wrong;
}

static unsigned draw(GLint colour, uint8_t n)
{
	const uint8_t back[4] = {n, 0, 255 - n, 255}, front[4] = {0, 255 - n, n, 255};

	glClearColor((float)n / 255, 0, (float)(255 - n) / 255, 1);
	glClear(GL_COLOR_BUFFER_BIT);
	glUniform4f(colour, 0, (float)(255 - n) / 255, (float)n / 255, 1);
	glDrawArrays(GL_TRIANGLES, 0, 3);
	return look(back, front);
}

int main(int argc, char **argv)
{
	const char *wanted = argc > 1 ? argv[1] : "virgl", *by;
	unsigned wrong = 0;
	GLint colour;

	make_context();
	by = (const char *)glGetString(GL_RENDERER);
	printf("%s\n", by ? by : "nobody");
	if (!by || !strstr(by, wanted))
		fail("this is not the driver that was asked for");
	make_canvas();
	colour = make_program();
	for (unsigned i = 0; i < FRAMES; i++)
		wrong += draw(colour, (uint8_t)(i * 5));
	printf("%d pictures, %u wrong pixels\n", FRAMES, wrong);
	return wrong || glGetError() != GL_NO_ERROR ? 1 : 0;
}
